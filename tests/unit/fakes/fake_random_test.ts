import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { FakeRandom } from "../../fakes/fake_random.ts";

Deno.test("fake randomness repeats for equal seeds and differs for others", () => {
  const draw = (seed: number) => {
    const random = new FakeRandom(seed);
    return Array.from({ length: 8 }, () => random.below(1_000_000));
  };
  assertEquals(draw(7), draw(7));
  assertNotEquals(draw(7), draw(8));
});

Deno.test("fake randomness stays below its limit and reaches all of the range", () => {
  const random = new FakeRandom();
  const seen = new Set(Array.from({ length: 200 }, () => random.below(6)));
  assertEquals([...seen].sort(), [0, 1, 2, 3, 4, 5]);
  for (let i = 0; i < 100; i++) {
    const value = random.below(2 ** 32);
    assert(Number.isInteger(value) && value >= 0 && value < 2 ** 32);
  }
});

Deno.test("fake randomness gives as many bytes as asked", () => {
  assertEquals(new FakeRandom().bytes(16).length, 16);
  assertEquals(new FakeRandom().bytes(0).length, 0);
});
