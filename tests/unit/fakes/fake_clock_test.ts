import { assertEquals, assertRejects } from "@std/assert";
import { FakeClock } from "../../fakes/fake_clock.ts";

Deno.test("a fake clock wakes sleepers in the order of their times", async () => {
  const clock = new FakeClock();
  const woken: string[] = [];
  const note = (name: string) => () =>
    void woken.push(`${name} at ${clock.monotonic()}`);
  clock.sleep(300).then(note("late"));
  clock.sleep(100).then(note("first of two"));
  clock.sleep(100).then(note("second of two"));
  await clock.advance(99);
  assertEquals(woken, []);
  await clock.advance(1);
  assertEquals(woken, ["first of two at 100", "second of two at 100"]);
  await clock.advance(1_000);
  assertEquals(woken.at(-1), "late at 300");
  assertEquals(clock.monotonic(), 1_100);
});

Deno.test("a fake clock wakes sleeps that start while it advances", async () => {
  const clock = new FakeClock();
  let rounds = 0;
  const loop = (async () => {
    while (rounds < 5) {
      await clock.sleep(10);
      rounds++;
    }
  })();
  await clock.advance(49);
  assertEquals(rounds, 4);
  await clock.advance(1);
  assertEquals(rounds, 5);
  await loop;
});

Deno.test("a fake clock's sleep rejects with the signal's reason and waits no longer", async () => {
  const clock = new FakeClock();
  const controller = new AbortController();
  const reason = new Error("stop");
  const sleep = clock.sleep(1_000, controller.signal);
  assertEquals(clock.sleepers, 1);
  controller.abort(reason);
  assertEquals(await assertRejects(() => sleep), reason);
  assertEquals(clock.sleepers, 0);
  assertEquals(
    await assertRejects(() => clock.sleep(1, controller.signal)),
    reason,
  );
});

Deno.test("a fake clock's wall clock jumps alone and advances with the other", async () => {
  const clock = new FakeClock(1_000);
  clock.jumpWallClock(-400);
  assertEquals([clock.now(), clock.monotonic()], [600, 0]);
  await clock.advance(50);
  assertEquals([clock.now(), clock.monotonic()], [650, 50]);
});

Deno.test("a fake clock says when the next sleeper wakes", async () => {
  const clock = new FakeClock();
  assertEquals(clock.nextWakeMilliseconds, undefined);
  const sleep = clock.sleep(70);
  await clock.advance(20);
  assertEquals(clock.nextWakeMilliseconds, 50);
  await clock.advance(50);
  await sleep;
});
