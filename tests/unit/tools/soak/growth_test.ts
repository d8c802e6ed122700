/**
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  growthOf,
  LEAST_SAMPLES,
  type Usage,
} from "../../../../tools/soak/growth.ts";

const STEADY: Usage = { memoryMb: 50, descriptors: 20, threads: 10 };
const COUNT = 30;

function samples(change: (index: number) => Partial<Usage>): Usage[] {
  return Array.from(
    { length: COUNT },
    (_, index) => ({ ...STEADY, ...change(index) }),
  );
}

Deno.test("what goes up and down does not grow", () => {
  const usages = samples((index) => ({
    memoryMb: index % 2 === 0 ? 40 : 90,
    descriptors: 20 + index % 7,
    threads: 10 + index % 5,
  }));
  assertEquals(growthOf(usages), []);
});

Deno.test("a descriptor more with each fault grows, and so does a thread", () => {
  const usages = samples((index) => ({
    descriptors: 20 + index,
    threads: 10 + index,
  }));
  assertEquals(growthOf(usages), [
    "descriptors: 29 at most at first, 40 at least at last",
    "threads: 19 at most at first, 30 at least at last",
  ]);
});

Deno.test("a megabyte more with each fault grows", () => {
  assertEquals(growthOf(samples((index) => ({ memoryMb: 50 + index }))), [
    "memory: 54.5 MB at first, 74.5 at last",
  ]);
});

Deno.test("a start is no growth: a process that was looked at a few times only is not judged", () => {
  const usages = samples((index) => ({ descriptors: 20 + index * 100 }));
  assertEquals(growthOf(usages.slice(0, LEAST_SAMPLES - 1)), []);
  assertEquals(growthOf(usages.slice(0, LEAST_SAMPLES)).length, 1);
});
