/**
 * A network whose packets the kernel puts into IP packets: two hosts. Where the
 * kernel has no ipip, the agent says how to get it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Rig } from "../rig/rig.ts";
import { hasLinkKind } from "../support/link_kind.ts";
import {
  type KernelBackendCase,
  kernelBackendSuite,
  type World,
} from "./kernel_backend_suite.ts";

const PATIENCE_MS = 20_000;
/** A tunnel from any address to any other one comes with the module. */
const LOCAL = ["local", "192.0.2.11"];

const CASE: KernelBackendCase = {
  type: "ipip",
  lease: /"BackendType":"ipip","LodenHostId":/,
  mtuBytes: 1480,
  faults: {
    "the device is deleted": ["ip link delete flannel.ipip"],
    "the device is set down": ["ip link set flannel.ipip down"],
    "the device is set down and up": [
      "ip link set flannel.ipip down",
      "ip link set flannel.ipip up",
    ],
    "the device's address is removed": ["ip address flush dev flannel.ipip"],
    "the device's MTU is changed": ["ip link set flannel.ipip mtu 1000"],
    "the peers' routes are removed": ["ip route flush dev flannel.ipip"],
    "the underlay is set down and up": [
      "ip link set eth0 down",
      "ip link set eth0 up",
    ],
  },
  more: {
    "takes no ipip packet that a container sends in a peer's name": keepsOut,
  },
};

/**
 * The first host's container has the second host's address and sends ipip packets
 * to its own host, as if they came from there.
 */
async function keepsOut({ members: [first] }: World): Promise<void> {
  const { container, host } = first!;
  const received = async () =>
    Number(
      await host.namespace.run([
        "cat",
        "/sys/class/net/flannel.ipip/statistics/rx_packets",
      ]),
    );
  const before = await received();
  await container.namespace.ip([
    "address add 192.0.2.12/32 dev lo",
    "link add forged type ipip local 192.0.2.12 remote 192.0.2.11",
    "address add 10.1.250.1/24 dev forged",
    "link set forged up",
  ]);
  await container.namespace.attempt(
    ["ping", "-n", "-c3", "-i0.2", "-W1", "10.1.250.2"],
  );
  const sent = Number(
    await container.namespace.run([
      "cat",
      "/sys/class/net/forged/statistics/tx_packets",
    ]),
  );
  assert(sent >= 3, `only ${sent} were sent`);
  assertEquals(await received(), before);
  await container.namespace.ip([
    "link delete forged",
    "address delete 192.0.2.12/32 dev lo",
  ]);
}

function testAbsence(): void {
  Deno.test("without ipip in the kernel, the agent names the module and waits for it", async () => {
    await using rig = await Rig.create({ hosts: 1 });
    await rig.startEtcd();
    await rig.publish({ Network: "10.1.0.0/16", Backend: { Type: "ipip" } });
    const agent = await rig.startAgent(rig.host(0));
    await agent.process.untilLogged(
      /Cannot create the device flannel\.ipip: .*the kernel must have the module ipip.*modprobe ipip/,
      PATIENCE_MS,
    );
    assertEquals(await agent.stop(), 0);
  });
}

if (hasLinkKind("ipip", ...LOCAL)) kernelBackendSuite(CASE);
else testAbsence();
