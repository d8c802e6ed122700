/**
 * Super-packets that are longer than any IPv4 packet: `gso_ipv4_max_size` of a
 * container's device lets its kernel make them.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { EACH_RECEIVER_AND_LINK } from "./data_paths.ts";
import { statusOf } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { assertTcp } from "./traffic.ts";

/** Of one super-packet, headers included. */
const MOST_BYTES = 180_000;
const MEGABYTES = 100;

const suite = new OverlaySuite("large TCP packets");

suite.each(EACH_RECEIVER_AND_LINK, (test, { traits }) => {
  test("TCP in super-packets beyond 64 KiB arrives byte for byte, and none is dropped", async () => {
    const from = suite.node(0).container;
    const to = suite.node(1).container;
    await from.namespace.ip([
      `link set eth0 gso_max_size ${MOST_BYTES} gso_ipv4_max_size ${MOST_BYTES}`,
    ]);
    await assertTcp({ rig: suite.rig, from, to }, MEGABYTES);
    const { counters } = (await statusOf(suite.node(0))).backend!;
    assertEquals(counters["tx.drop.badHeader"], 0);
    // They were there, or this proves nothing.
    if (traits.flowsWithoutAgent) assert(counters["tx.cut"]! > 0);
  });
});
