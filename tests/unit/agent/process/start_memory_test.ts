import { assertEquals } from "@std/assert";
import { releaseStartMemory } from "../../../../agent/process/start_memory.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";

function start(signal = new AbortController().signal) {
  const clock = new FakeClock();
  let releases = 0;
  const end = releaseStartMemory(clock, signal, () => releases++);
  return { clock, end, releases: () => releases };
}

Deno.test("an agent gives memory back a second after it is ready, and a minute after", async () => {
  const { clock, end, releases } = start();
  await clock.advance(999);
  assertEquals(releases(), 0);
  await clock.advance(1);
  assertEquals(releases(), 1);
  await clock.advance(58_999);
  assertEquals(releases(), 1);
  await clock.advance(1);
  assertEquals(releases(), 2);
  await end;
});

Deno.test("an agent that ends gives no memory back", async () => {
  const ending = new AbortController();
  const { clock, end, releases } = start(ending.signal);
  await clock.advance(1_000);
  ending.abort();
  await end;
  await clock.advance(59_000);
  assertEquals(releases(), 1);
});
