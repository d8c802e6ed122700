import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { systemRandom } from "../../../linux/random.ts";

Deno.test("system randomness is a whole number below its limit", () => {
  const seen = new Set<number>();
  for (let i = 0; i < 300; i++) seen.add(systemRandom.below(4));
  assertEquals([...seen].sort(), [0, 1, 2, 3]);
  assertEquals(systemRandom.below(1), 0);
  for (let i = 0; i < 50; i++) {
    const value = systemRandom.below(2 ** 32);
    assert(Number.isInteger(value) && value >= 0 && value < 2 ** 32);
  }
});

Deno.test("system randomness is even, also for a limit that 2^32 is no multiple of", () => {
  // With a plain remainder the lowest third would come up twice as often here.
  const limit = 3 * 2 ** 30;
  let low = 0;
  for (let i = 0; i < 3_000; i++) {
    if (systemRandom.below(limit) < limit / 3) low++;
  }
  assert(low > 850 && low < 1_150, `${low} of 3000 in the lowest third`);
});

Deno.test("system randomness gives as many bytes as asked, and other ones each time", () => {
  assertEquals(systemRandom.bytes(32).length, 32);
  assertNotEquals(systemRandom.bytes(32), systemRandom.bytes(32));
});
