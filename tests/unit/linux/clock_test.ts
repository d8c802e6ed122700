import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../linux/clock.ts";

Deno.test("the system clock sleeps for about the time asked", async () => {
  const before = systemClock.monotonic();
  await systemClock.sleep(20);
  const elapsed = systemClock.monotonic() - before;
  assert(elapsed >= 19, `slept ${elapsed} ms`);
});

Deno.test("the system clock's sleep ends at once when it is aborted", async () => {
  const controller = new AbortController();
  const reason = new Error("stop");
  const sleep = systemClock.sleep(60_000, controller.signal);
  controller.abort(reason);
  // The test runner's leak check proves that the timer is gone as well.
  assertEquals(await assertRejects(() => sleep), reason);
});

Deno.test("the system clock does not sleep under a signal that was aborted before", async () => {
  const reason = new Error("stop");
  assertEquals(
    await assertRejects(() =>
      systemClock.sleep(60_000, AbortSignal.abort(reason))
    ),
    reason,
  );
});

Deno.test("the system clock says what time it is", () => {
  assert(Math.abs(systemClock.now() - Date.now()) < 1_000);
  const first = systemClock.monotonic();
  assert(systemClock.monotonic() >= first);
});
