/**
 * The trace of a packet, by the kernel's own.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import {
  NoTraceError,
  tracePacket,
} from "../../host/firewall/trace/trace_packet.ts";
import { inNetworkNamespace } from "../../linux/network_namespace.ts";
import { readIfThere } from "../../linux/read_if_there.ts";
import { systemClock } from "../../linux/clock.ts";
import { sendPacket } from "../../linux/raw_packet.ts";
import { buildFirstPacket } from "../../net/first_packet.ts";
import { parseIpv4 } from "../../net/ipv4.ts";
import { setKernel } from "../rig/kernel_settings.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";

const PACKET = {
  source: parseIpv4("127.0.0.1")!,
  destination: parseIpv4("127.0.0.9")!,
  id: 4_711,
  ttl: 1,
};
const { signal } = new AbortController();

testInNamespace("the trace of a packet", import.meta.url, () => {
  const nft = (line: string) => runSync("nft", [line]);
  const packet = buildFirstPacket({
    ...PACKET,
    protocol: 17,
    ports: [50_000, 53],
    sizeBytes: 84,
  });
  const send = () => sendPacket(packet, PACKET.destination);
  const trace = () => tracePacket(systemClock, PACKET, send, signal);
  const tables = () =>
    new TextDecoder().decode(
      new Deno.Command("nft", { args: ["list", "tables"] }).outputSync().stdout,
    );

  Deno.test("a packet leaves, and nothing of the trace stays", async () => {
    assertEquals(await trace(), { kind: "left" });
    assertEquals(tables(), "");
  });

  Deno.test("the rule that drops it is named", async () => {
    nft("add table ip mine");
    nft("add chain ip mine out { type filter hook output priority 0; }");
    nft("add rule ip mine out udp dport 54 drop");
    assertEquals(await trace(), { kind: "left" });
    nft("add rule ip mine out udp dport 53 drop");
    assertEquals(await trace(), {
      kind: "dropped",
      by: { table: "nft ip mine", chain: "out", rule: "udp dport 53 drop" },
    });
    assertEquals(tables(), "table ip mine\n");
    nft("delete table ip mine");
  });

  for (const bridgesCall of ["0", "1"]) {
    Deno.test(`a packet of a container is followed through a bridge, bridge-nf-call-iptables ${bridgesCall}`, async () => {
      const container = new Deno.Command("unshare", {
        args: ["--net", "sleep", "60"],
      }).spawn();
      const path = `/proc/${container.pid}/ns/net`;
      const ip = (line: string) => runSync("ip", line.split(" "));
      try {
        await untilOther(path);
        ip("link add bridge0 type bridge");
        ip("address add 10.1.5.1/24 dev bridge0");
        ip(`link add port0 type veth peer name eth0 netns ${container.pid}`);
        ip("link set port0 master bridge0 up");
        ip("link set bridge0 up");
        ip("link add out0 type veth peer name out1");
        ip("link set out1 up");
        ip("link set out0 up");
        ip("route add 10.1.7.0/24 dev out0");
        setKernel({ "net/ipv4/ip_forward": "1" });
        setIfThere("net/bridge/bridge-nf-call-iptables", bridgesCall);
        inNetworkNamespace(path, () => {
          ip("address add 10.1.5.2/24 dev eth0");
          ip("link set eth0 up");
          ip("route add default via 10.1.5.1");
        });
        const forwarded = {
          source: parseIpv4("10.1.5.2")!,
          destination: parseIpv4("10.1.7.2")!,
          id: 77,
          ttl: 2,
        };
        const bytes = buildFirstPacket({
          ...forwarded,
          protocol: 6,
          ports: [50_000, 80],
          sizeBytes: 84,
        });
        const follow = () =>
          tracePacket(
            systemClock,
            forwarded,
            () =>
              inNetworkNamespace(
                path,
                () => sendPacket(bytes, forwarded.destination),
              ),
            signal,
          );
        assertEquals(await follow(), { kind: "left" });
        nft("add table ip mine");
        nft("add chain ip mine f { type filter hook forward priority 0; }");
        nft("add rule ip mine f tcp dport 80 drop");
        assertEquals(await follow(), {
          kind: "dropped",
          by: { table: "nft ip mine", chain: "f", rule: "tcp dport 80 drop" },
        });
      } finally {
        container.kill("SIGKILL");
        await container.status;
        nft("flush ruleset");
        for (const device of ["bridge0", "port0", "out0"]) {
          new Deno.Command("ip", { args: ["link", "delete", device] })
            .outputSync();
        }
      }
    });
  }

  Deno.test("another packet with the same id is not taken for it", async () => {
    const other = buildFirstPacket({
      ...PACKET,
      protocol: 17,
      ports: [50_000, 53],
      ttl: 64,
      sizeBytes: 84,
    });
    assertEquals(
      await tracePacket(
        systemClock,
        PACKET,
        () => sendPacket(other, PACKET.destination),
        signal,
      ),
      { kind: "lost", chains: [] },
    );
  });

  Deno.test("an nft that ends early is the reason that is given", async () => {
    using _nft = fakeNft("exec sleep 0.1");
    await assertRejects(() => trace(), NoTraceError, "nft has ended");
  });

  Deno.test("an nft that hangs is ended", async () => {
    using _nft = fakeNft("trap '' TERM INT HUP; exec sleep 60");
    const beganMs = performance.now();
    await assertRejects(() => trace(), NoTraceError, "nft does not answer");
    assert(performance.now() - beganMs < 10_000);
  });

  Deno.test("packets that others trace are not taken for it", async () => {
    nft("add table ip mine");
    nft("add chain ip mine out { type filter hook output priority -500; }");
    nft("add rule ip mine out meta nftrace set 1");
    assertEquals(
      await tracePacket(systemClock, { ...PACKET, id: 4_712 }, send, signal),
      { kind: "lost", chains: [] },
    );
    assertEquals(await trace(), { kind: "left" });
    nft("delete table ip mine");
  });

  Deno.test("nft that reads many rules first is waited for", async () => {
    const [real] = runSync("which", ["nft"]).split("\n");
    using _nft = fakeNft(`mkfifo "$0.fifo"
exec 3<&0
while read -r line; do
  case $line in monitor*) sleep 1 ;; esac
  echo "$line"
done <&3 >"$0.fifo" 2>/dev/null &
exec ${real} -i <"$0.fifo" 3<&-`);
    assertEquals(await trace(), { kind: "left" });
  });

  Deno.test("a packet that is not sent is lost", async () => {
    assertEquals(
      await tracePacket(systemClock, PACKET, () => {}, signal),
      { kind: "lost", chains: [] },
    );
  });

  Deno.test("an end before the time leaves nothing", async () => {
    const ending = new AbortController();
    const over = new DOMException("over", "AbortError");
    await assertRejects(
      () =>
        tracePacket(
          systemClock,
          PACKET,
          () => ending.abort(over),
          ending.signal,
        ),
      DOMException,
      "over",
    );
    assertEquals(tables(), "");
  });
});

/** Programs started meanwhile find a shell script in place of nft. */
function fakeNft(script: string): Disposable {
  const directory = Deno.makeTempDirSync();
  const path = Deno.env.get("PATH")!;
  Deno.writeTextFileSync(`${directory}/nft`, `#!/bin/sh\n${script}\n`);
  Deno.chmodSync(`${directory}/nft`, 0o755);
  Deno.env.set("PATH", `${directory}:${path}`);
  return {
    [Symbol.dispose]() {
      Deno.env.set("PATH", path);
      Deno.removeSync(directory, { recursive: true });
    },
  };
}

/** Until the process that makes a network namespace is in it. */
async function untilOther(path: string): Promise<void> {
  const own = Deno.readLinkSync("/proc/self/ns/net");
  for (let tries = 0; tries < 500; tries++) {
    if (Deno.readLinkSync(path) !== own) return;
    await delay(10);
  }
  throw new Error(`${path} is this process's own namespace`);
}

/** A kernel without br_netfilter does not have it. */
function setIfThere(name: string, value: string): void {
  if (readIfThere(`/proc/sys/${name}`) !== undefined) {
    setKernel({ [name]: value });
  }
}
