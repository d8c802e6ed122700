/**
 * The network outlives its control plane.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { ping, type PingResult } from "../../bench/measure/ping.ts";
import { EACH_PATH } from "./data_paths.ts";
import { eventually, SUBNETS } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";

/** Longer than an etcd call may take before it counts as failed. */
const OUTAGE_MS = 8_000;

const suite = new OverlaySuite("an etcd that is away");

/** Pings from container to container for a little more than `milliseconds`. */
function pingFor(milliseconds: number): Promise<PingResult> {
  const intervalSeconds = 0.05;
  const count = Math.ceil(milliseconds / 1000 / intervalSeconds);
  return ping(
    suite.node(0).container.namespace,
    suite.node(1).container.address,
    { count, intervalSeconds, deadlineSeconds: milliseconds / 1000 + 5 },
  );
}

function assertAgentsRun() {
  for (const { agent } of suite.nodes) {
    assertEquals(agent.process.exitCode, undefined);
  }
}

async function leases(): Promise<string[]> {
  const keys = await suite.rig.etcd.ctl(
    "get",
    "--prefix",
    "--keys-only",
    `${SUBNETS}/`,
  );
  return keys.split("\n").filter((line) => line !== "").sort();
}

suite.each(EACH_PATH, (test) => {
  test("traffic flows on while etcd does not answer", async () => {
    const pings = pingFor(OUTAGE_MS + 1_000);
    suite.rig.etcd.pause();
    await delay(OUTAGE_MS);
    suite.rig.etcd.resume();
    const result = await pings;
    assertEquals(result.received, result.sent);
    assertAgentsRun();
  });

  test("traffic flows on while etcd is dead, and agents find it when it is back", async () => {
    const pings = pingFor(OUTAGE_MS + 1_000);
    await suite.rig.etcd.kill();
    await delay(OUTAGE_MS);
    await suite.rig.etcd.start();
    const result = await pings;
    assertEquals(result.received, result.sent);
    assertAgentsRun();
    // Found again: a lease that vanishes now is noticed and put back.
    const before = await leases();
    await suite.rig.etcd.ctl("del", before[0]!);
    await eventually(
      "the lease again",
      leases,
      (now) => now.includes(before[0]!),
    );
  });

  test("an etcd that lost all its data is filled with the same leases again", async () => {
    const before = await leases();
    const pings = pingFor(6_000);
    await suite.rig.etcd.kill();
    await suite.rig.etcd.start({ wipe: true });
    await eventually(
      "the same leases",
      leases,
      (now) => now.join() === before.join(),
      30_000,
    );
    const result = await pings;
    assertEquals(result.received, result.sent);
    assertAgentsRun();
  });

  test("an agent ends in order while etcd is dead", async () => {
    await suite.rig.etcd.kill();
    const started = performance.now();
    assertEquals(await suite.node(1).agent.stop(), 0);
    assertEquals(performance.now() - started < 1_500, true);
  });
});
