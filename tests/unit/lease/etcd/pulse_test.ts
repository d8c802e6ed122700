import { assertEquals } from "@std/assert";
import {
  Pulse,
  PULSE_LIMIT_MS,
  PULSE_PAUSE_MS,
} from "../../../../lease/etcd/pulse.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";

/** A pulse, and a server that answers for as long as `answers` says so. */
function setUp() {
  const clock = new FakeClock();
  const world = { answers: true, asked: 0, lost: 0 };
  const pulse = new Pulse({
    clock,
    ask: async (limitMs) => {
      world.asked += 1;
      if (!world.answers) await clock.sleep(limitMs);
      return world.answers;
    },
    onLost: () => {
      world.lost += 1;
    },
  });
  return { clock, pulse, world };
}

Deno.test("a connection is probed at intervals as long as a caller waits on it", async () => {
  const { clock, pulse, world } = setUp();
  await clock.advance(3 * PULSE_PAUSE_MS);
  assertEquals(world.asked, 0);
  const leaveFirst = pulse.wait();
  const leaveSecond = pulse.wait();
  await clock.advance(3 * PULSE_PAUSE_MS);
  assertEquals(world.asked, 3);
  leaveFirst();
  await clock.advance(PULSE_PAUSE_MS);
  assertEquals(world.asked, 4);
  leaveSecond();
  await clock.advance(3 * PULSE_PAUSE_MS);
  assertEquals([world.asked, world.lost, clock.sleepers], [4, 0, 0]);
  pulse.wait();
  await clock.advance(PULSE_PAUSE_MS);
  assertEquals(world.asked, 5);
  pulse.end();
});

Deno.test("without an answer in time it is lost, once", async () => {
  const { clock, pulse, world } = setUp();
  pulse.wait();
  world.answers = false;
  await clock.advance(PULSE_PAUSE_MS + PULSE_LIMIT_MS - 1);
  assertEquals(world.lost, 0);
  await clock.advance(1);
  assertEquals(world.lost, 1);
  await clock.advance(3 * PULSE_PAUSE_MS);
  assertEquals([world.asked, world.lost, clock.sleepers], [1, 1, 0]);
});

Deno.test("a call that had no answer has it asked at once, and once for all of them", async () => {
  const { clock, pulse, world } = setUp();
  world.answers = false;
  pulse.check();
  pulse.check();
  await clock.advance(PULSE_LIMIT_MS);
  assertEquals([world.asked, world.lost], [1, 1]);
});

Deno.test("what was closed meanwhile is not lost", async () => {
  const { clock, pulse, world } = setUp();
  world.answers = false;
  pulse.check();
  pulse.end();
  await clock.advance(PULSE_LIMIT_MS);
  assertEquals(world.lost, 0);
});
