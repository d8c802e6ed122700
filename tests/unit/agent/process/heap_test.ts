import { assert, assertEquals } from "@std/assert";
import { memoryUsage } from "node:process";
import { keepHeapSmall } from "../../../../agent/process/heap.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";

/** Objects that nobody needs any more; V8 must not see that nobody reads them. */
function makeGarbage(): void {
  const garbage = Array.from(
    { length: 200_000 },
    (_, index) => ({ index, text: `number ${index}` }),
  );
  assert(garbage.length > 0);
}

function assertFreed(before: number): void {
  const freedBytes = before - memoryUsage().heapUsed;
  assert(freedBytes > 5_000_000, `${freedBytes} bytes were freed`);
}

Deno.test("what only the start needed is given back at once, and the keeping ends with the signal", async () => {
  makeGarbage();
  const before = memoryUsage().heapUsed;
  const clock = new FakeClock();
  const ending = new AbortController();
  const keeping = keepHeapSmall(clock, ending.signal);
  let ended = false;
  keeping.finally(() => ended = true);
  while (clock.sleepers === 0) {
    assert(!ended, "there is no collector to be called here");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assertFreed(before);
  await clock.advance(30_000);
  ending.abort();
  await keeping;
});

Deno.test("every half minute the young are collected, and every two minutes all", async () => {
  const collected: string[] = [];
  const clock = new FakeClock();
  const ending = new AbortController();
  const keeping = keepHeapSmall(
    clock,
    ending.signal,
    ({ type }) => collected.push(type),
  );
  for (let rounds = 0; rounds < 8; rounds++) await clock.advance(30_000);
  const minors = ["minor", "minor", "minor"];
  assertEquals(collected, ["major", ...minors, "major", ...minors, "major"]);
  ending.abort();
  await keeping;
});
