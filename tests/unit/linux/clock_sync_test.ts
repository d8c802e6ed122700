import { assert, assertEquals } from "@std/assert";
import { readClockSync } from "../../../linux/clock_sync.ts";

Deno.test("the state of the kernel's clock is read, as adjtimex(2) says it", () => {
  const { maxErrorMs, synchronized } = readClockSync();
  assertEquals(typeof synchronized, "boolean");
  // NTP_PHASE_LIMIT, `include/linux/timex.h`: it grows up to 16 seconds.
  assert(maxErrorMs >= 0 && maxErrorMs <= 16_000, String(maxErrorMs));
});
