/**
 * Hosts on the kernel path, and a firewall between them that looks at source
 * ports.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { KERNEL_PATH } from "./data_paths.ts";
import { restart, statusOf } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { assertPings, assertTcp, assertUdpEcho } from "./traffic.ts";

const OVERLAY_PORT = 8285;
const [FIRST_PORT, LAST_PORT] = [49_152, 65_535];
const suite = new OverlaySuite("source ports");

/** On the switch's ports of both hosts. */
async function watch(rule: string): Promise<void> {
  const chains = [1, 2].map((number) =>
    `chain from${number} {
       type filter hook ingress device "port${number}" priority 0
       ${rule}
       udp dport ${OVERLAY_PORT} add @ports { udp sport }
     }`
  );
  await suite.rig.switch.run(["nft", "-f", "-"], {
    stdin: `
      table netdev between
      delete table netdev between
      table netdev between {
        set ports { type inet_service; flags dynamic; size 65536; }
        ${chains.join("\n")}
      }`,
  });
}

/** Those from which packets have come. */
async function seenPorts(): Promise<number[]> {
  const text = await suite.rig.switch.run(
    ["nft", "-j", "list", "set", "netdev", "between", "ports"],
  );
  const [, { set }] = JSON.parse(text).nftables;
  return set.elem ?? [];
}

const ends = () => ({
  rig: suite.rig,
  from: suite.node(0).container,
  to: suite.node(1).container,
});

async function restartBoth(flags: readonly string[]): Promise<void> {
  await Promise.all(suite.nodes.map(async (node) => {
    await node.agent.stop();
    await restart(suite.rig, node, flags);
  }));
}

suite.each(KERNEL_PATH, (test) => {
  test("each flow has a port of its own in each direction, and bytes arrive whole", async () => {
    await watch("");
    await assertPings(ends().from.namespace, ends().to.address);
    await assertTcp(ends(), 20);
    await assertUdpEcho(ends(), [1, 1_444, 60_000]);
    const ports = await seenPorts();
    // A ping, a connection and an echo: two of them could meet by chance.
    assert(ports.length >= 5 && ports.length <= 12, `${ports}`);
    assert(
      ports.every((port) => port >= FIRST_PORT && port <= LAST_PORT),
      `${ports}`,
    );
  });

  test("a firewall that requires the network's source port stops all, until --source-port=fixed", async () => {
    await watch(
      `udp dport ${OVERLAY_PORT} udp sport != ${OVERLAY_PORT} drop`,
    );
    const { from, to } = ends();
    const { exitCode } = await from.namespace.attempt(
      ["ping", "-n", "-c1", "-W1", to.address],
    );
    assertEquals(exitCode, 1);
    await restartBoth(["--source-port=fixed"]);
    await assertPings(from.namespace, to.address);
    assertEquals(await seenPorts(), [OVERLAY_PORT]);
    const { details } = (await statusOf(suite.node(0))).backend!;
    assertEquals(
      details!["source port"],
      "8285: set by --source-port=fixed",
    );
  });
});
