/**
 * Every way in which packets come in from the underlay, on every kind of cable.
 *
 * @module
 */

import type { Container } from "../rig/container.ts";
import { EACH_PATH_LARGE_MTU, EACH_RECEIVER_AND_LINK } from "./data_paths.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import {
  assertPings,
  assertTcp,
  assertUdpBursts,
  assertUdpEcho,
} from "./traffic.ts";

/** Enough for every length of a super-packet. */
const ROUNDS = 250;

const suite = new OverlaySuite("receive modes");

/** Both directions between the two containers. */
function directions(): [Container, Container][] {
  const first = suite.node(0).container;
  const second = suite.node(1).container;
  return [[first, second], [second, first]];
}

suite.each([...EACH_RECEIVER_AND_LINK, ...EACH_PATH_LARGE_MTU], (test) => {
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
});
