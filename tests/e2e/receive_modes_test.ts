/**
 * Every way in which packets come in from the underlay, on every kind of cable.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Container } from "../rig/container.ts";
import { EACH_PATH_LARGE_MTU, EACH_RECEIVER_AND_LINK } from "./data_paths.ts";
import { statusOf } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import {
  assertPings,
  assertTcp,
  assertUdpBursts,
  assertUdpEcho,
} from "./traffic.ts";

/** Enough for every length of a super-packet. */
const ROUNDS = 250;
/**
 * Of one super-packet, headers included: longer than any IPv4 packet, as a kernel
 * makes them for a device with such a `gso_ipv4_max_size`.
 */
const MOST_BYTES = 180_000;
const USUAL_MOST_BYTES = 65_536;

const suite = new OverlaySuite("receive modes");

/** Both directions between the two containers. */
function directions(): [Container, Container][] {
  const first = suite.node(0).container;
  const second = suite.node(1).container;
  return [[first, second], [second, first]];
}

const SETUPS = [...EACH_RECEIVER_AND_LINK, ...EACH_PATH_LARGE_MTU];

suite.each(SETUPS, (test, { traits }) => {
  test("pings, small and cut into fragments, are answered", async () => {
    const [from, to] = directions()[0]!;
    await assertPings(from.namespace, to.address);
    await assertPings(from.namespace, to.address, ["-s", "20000"]);
  });

  test("100 MB of TCP arrive byte for byte, in both directions at once", async () => {
    await Promise.all(
      directions().map(([from, to]) =>
        assertTcp({ rig: suite.rig, from, to }, 100)
      ),
    );
  });

  test("UDP payloads of every size come back unchanged", async () => {
    const [from, to] = directions()[0]!;
    const sizes = [1, 2, 1443, 1444, 1445, 9000, 60000];
    await assertUdpEcho({ rig: suite.rig, from, to }, sizes);
  });

  test("UDP super-packets of a container arrive whole and in order among single datagrams", async () => {
    const [from, to] = directions()[0]!;
    await assertUdpBursts({ rig: suite.rig, from, to }, ROUNDS);
  });

  test("TCP in super-packets beyond 64 KiB arrives byte for byte, and none is dropped", async () => {
    const [from, to] = directions()[0]!;
    const setMost = (bytes: number) =>
      from.namespace.ip([
        `link set eth0 gso_max_size ${bytes} gso_ipv4_max_size ${bytes}`,
      ]);
    await setMost(MOST_BYTES);
    try {
      await assertTcp({ rig: suite.rig, from, to }, 100);
    } finally {
      await setMost(USUAL_MOST_BYTES);
    }
    const { counters } = (await statusOf(suite.node(0))).backend!;
    assertEquals(counters["tx.drop.badHeader"], 0);
    // They were there, or this proves nothing.
    if (traits.flowsWithoutAgent) assert(counters["tx.cut"]! > 0);
  });
});
