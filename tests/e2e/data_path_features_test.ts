/**
 * Two hosts whose agents do without what newer kernels have: each feature
 * switched off by itself, and all at once.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { EACH_PATH } from "./data_paths.ts";
import { restart, statusOf } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { assertPings, assertTcp, assertUdpEcho } from "./traffic.ts";

const suite = new OverlaySuite("features");

/** The details by which the status shows that a feature is in use. */
const DETAILS: Readonly<Record<string, string>> = {
  "flow-spreading": "flows on",
};

/** Restarts both agents; the containers stay. */
async function restartWithout(features: readonly string[]): Promise<void> {
  const flags = [`--disable-feature=${features.join(",")}`];
  await Promise.all(suite.nodes.map(async (node) => {
    await node.agent.stop();
    await restart(suite.rig, node, flags);
  }));
}

async function assertTraffic(): Promise<void> {
  const [from, to] = [suite.node(0).container, suite.node(1).container];
  await assertPings(from.namespace, to.address);
  await assertTcp({ rig: suite.rig, from, to }, 20);
  await assertUdpEcho({ rig: suite.rig, from, to }, [1, 1444, 9000, 60000]);
}

const details = async () =>
  (await statusOf(suite.node(1))).backend!.details ?? {};

/** What the second host has counted. */
const counters = async () => (await statusOf(suite.node(1))).backend!.counters;

suite.each(EACH_PATH, (test, { traits }) => {
  for (const feature of traits.features) {
    test(`pings, TCP and UDP pass without ${feature}`, async () => {
      const detail = DETAILS[feature];
      if (detail !== undefined) {
        await restartWithout([]);
        assert(detail in await details());
      }
      await restartWithout([feature]);
      await assertTraffic();
      if (detail !== undefined) assert(!(detail in await details()));
    });
  }

  test("pings, TCP and UDP pass without any feature", async () => {
    await restartWithout(traits.features);
    await assertTraffic();
    if (!traits.sendsAndReceives) return;
    const { "tx.superPackets": tx, "rx.superPackets": rx, ...all } =
      await counters();
    assertEquals([tx, rx], [0, 0]);
    assertEquals(all["tx.sends"], all["tx.packets"]);
  });
});
