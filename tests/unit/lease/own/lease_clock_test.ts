import { assert, assertEquals } from "@std/assert";
import { LeaseClock } from "../../../../lease/own/lease_clock.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeRandom } from "../../../fakes/fake_random.ts";

const DAY_SECONDS = 86_400;
const HOUR_MS = 3_600_000;
const TIMES = { ttlSeconds: DAY_SECONDS, renewMarginSeconds: 3_600 };
const never = new AbortController().signal;

function grant(
  clock: FakeClock,
  times = TIMES,
  seed = 1,
): LeaseClock {
  const lease = new LeaseClock(clock, new FakeRandom(seed), times);
  lease.restart(lease.mark(), false);
  return lease;
}

/** Milliseconds after the grant at which the renewal is due. */
async function dueAfterMs(clock: FakeClock, lease: LeaseClock) {
  const began = clock.monotonic();
  const due = lease.untilDue(never).then(() => clock.monotonic() - began);
  await clock.advance(2 * DAY_SECONDS * 1_000);
  return await due;
}

Deno.test("the renewal is due on its margin or up to five minutes earlier", async () => {
  const clock = new FakeClock();
  const afterMs = await dueAfterMs(clock, grant(clock));
  assert(afterMs <= 23 * HOUR_MS, `${afterMs}`);
  assert(afterMs >= 23 * HOUR_MS - 300_000, `${afterMs}`);
});

Deno.test("of a thousand agents that started together a handful renew in the same second", async () => {
  const clock = new FakeClock();
  const leases = Array.from(
    { length: 1_000 },
    (_, seed) => grant(clock, TIMES, seed),
  );
  const countDue = () => leases.filter(({ isDue }) => isDue).length;
  await clock.advance(23 * HOUR_MS - 300_000 - 1);
  let due = countDue();
  assertEquals(due, 0);
  let most = 0;
  for (let second = 0; second <= 300; second++) {
    await clock.advance(1_000);
    most = Math.max(most, countDue() - due);
    due = countDue();
  }
  assertEquals(due, 1_000);
  // On average 3.3.
  assert(most <= 15, `${most} in one second`);
});

Deno.test("a short TTL is renewed at half time at the latest, and the jitter is a tenth of it", async () => {
  for (let seed = 0; seed < 50; seed++) {
    const clock = new FakeClock();
    const lease = grant(clock, { ...TIMES, ttlSeconds: 60 }, seed);
    const afterMs = await dueAfterMs(clock, lease);
    assert(afterMs <= 30_000 && afterMs >= 27_000, `${afterMs}`);
  }
});

Deno.test("whichever clock is ahead counts, for the renewal and for the end", async () => {
  const asleep = new FakeClock();
  const slept = grant(asleep);
  // The monotonic clock stands still while a machine is suspended.
  asleep.jumpWallClock(23.5 * HOUR_MS);
  assert(slept.isDue && !slept.isExpired);
  asleep.jumpWallClock(HOUR_MS);
  assert(slept.isExpired);

  const clock = new FakeClock();
  const setBack = grant(clock);
  clock.jumpWallClock(-1_000 * HOUR_MS);
  assert(!setBack.isDue);
  await clock.advance(23.5 * HOUR_MS);
  assert(setBack.isDue && !setBack.isExpired);
  await clock.advance(HOUR_MS);
  assert(setBack.isExpired);
});

Deno.test("a clock that jumps while the renewal is waited for is noticed within a minute", async () => {
  const clock = new FakeClock();
  const lease = grant(clock);
  let isDue = false;
  const due = lease.untilDue(never).then(() => isDue = true);
  await clock.advance(1_000);
  clock.jumpWallClock(48 * HOUR_MS);
  await clock.advance(60_000);
  assert(isDue);
  await due;
});

Deno.test("a reservation is never due and never ends", async () => {
  const clock = new FakeClock();
  const lease = grant(clock);
  lease.restart(lease.mark(), true);
  await clock.advance(30 * DAY_SECONDS * 1_000);
  assertEquals([lease.isDue, lease.isExpired], [false, false]);
  assertEquals(lease.expiresAtMs, undefined);
});
