/**
 * What the vxlan backend needs belongs to another program: it says what and to
 * whom, leaves nothing, and starts once it is free.
 *
 * @module
 */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { BackendStartError } from "../../backend/errors.ts";
import { openUdpSocket } from "../../linux/udp_socket.ts";
import { libc } from "../../linux/libc.ts";
import { parseIpv4 } from "../../net/ipv4.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import { kernelBackendWorlds } from "./kernel_backend_contract.ts";

const ip = (line: string) => void runSync("ip", line.split(" "));
const signal = new AbortController().signal;
const PORT = 8472;

/** A device of an administrator's. */
function device(name: string, ...lines: readonly string[]): () => Disposable {
  return () => {
    for (const line of lines) ip(line);
    return { [Symbol.dispose]: () => ip(`link delete ${name}`) };
  };
}

function socket(): Disposable {
  const { descriptor } = openUdpSocket({
    address: parseIpv4("0.0.0.0")!,
    port: PORT,
    segment: false,
    gro: false,
    bufferBytes: 1 << 16,
  });
  return { [Symbol.dispose]: () => void libc().close(descriptor) };
}

const MINE =
  `link add mine type vxlan local 192.0.2.11 dev eth0 dstport ${PORT}`;
const OBSTACLES: Readonly<Record<string, [() => Disposable, RegExp]>> = {
  "its name": [
    device("flannel.1", "link add flannel.1 type bridge"),
    /create the device flannel\.1: .*it is taken: a bridge device/,
  ],
  "its VNI": [
    device("mine", `${MINE} id 1`),
    /it is taken: VNI 1 on UDP port 8472 by another device/,
  ],
  "its port, by a device with another GBP": [
    device("mine", `${MINE} id 7 gbp`, "link set mine up"),
    /set up the device flannel\.1: .*EADDRINUSE: UDP port 8472 is taken/,
  ],
  "its port, by a socket": [
    socket,
    /set up the device flannel\.1: .*EADDRINUSE: UDP port 8472 is taken/,
  ],
};

testInNamespace("devices that are taken", import.meta.url, () => {
  const open = kernelBackendWorlds("vxlan", {
    VNI: 1,
    Port: PORT,
    GBP: false,
    Learning: false,
    DirectRouting: false,
  });
  for (const [what, [obstruct, message]] of Object.entries(OBSTACLES)) {
    Deno.test(`vxlan says who has ${what}, and starts when it is free`, async () => {
      await using world = await open();
      {
        using _obstacle = obstruct();
        const before = world.devices();
        const refused = world.create();
        const error = await assertRejects(
          () => refused.start(world.context, signal),
          BackendStartError,
        );
        assertMatch(error.message, message);
        assertEquals(error.retryable, false);
        assertEquals(error.hint === undefined, false);
        await refused.stop();
        assertEquals(world.devices(), before);
      }
      const backend = world.create();
      await backend.start(world.context, signal);
      assertEquals(world.devices().includes("flannel.1"), true);
      await backend.stop();
    });
  }
});
