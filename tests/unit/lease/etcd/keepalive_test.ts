import { assertEquals } from "@std/assert";
import { Keepalive } from "../../../../lease/etcd/keepalive.ts";
import {
  KEEPALIVE_LIMIT_MS,
  KEEPALIVE_PAUSE_MS,
} from "../../../../lease/liveness/answer_times.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";

/** A keepalive, and a server that answers for as long as `answers` says so. */
function setUp() {
  const clock = new FakeClock();
  const world = { answers: true, asked: 0, lost: 0 };
  const keepalive = new Keepalive({
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
  return { clock, keepalive, world };
}

Deno.test("a connection is probed at intervals as long as a caller waits on it", async () => {
  const { clock, keepalive, world } = setUp();
  await clock.advance(3 * KEEPALIVE_PAUSE_MS);
  assertEquals(world.asked, 0);
  const leaveFirst = keepalive.wait();
  const leaveSecond = keepalive.wait();
  await clock.advance(3 * KEEPALIVE_PAUSE_MS);
  assertEquals(world.asked, 3);
  leaveFirst();
  await clock.advance(KEEPALIVE_PAUSE_MS);
  assertEquals(world.asked, 4);
  leaveSecond();
  await clock.advance(3 * KEEPALIVE_PAUSE_MS);
  assertEquals([world.asked, world.lost, clock.sleepers], [4, 0, 0]);
  keepalive.wait();
  await clock.advance(KEEPALIVE_PAUSE_MS);
  assertEquals(world.asked, 5);
  keepalive.end();
});

Deno.test("without an answer in time it is lost, once", async () => {
  const { clock, keepalive, world } = setUp();
  keepalive.wait();
  world.answers = false;
  await clock.advance(KEEPALIVE_PAUSE_MS + KEEPALIVE_LIMIT_MS - 1);
  assertEquals(world.lost, 0);
  await clock.advance(1);
  assertEquals(world.lost, 1);
  await clock.advance(3 * KEEPALIVE_PAUSE_MS);
  assertEquals([world.asked, world.lost, clock.sleepers], [1, 1, 0]);
});

Deno.test("a call that had no answer has it asked at once, and once for all of them", async () => {
  const { clock, keepalive, world } = setUp();
  world.answers = false;
  keepalive.check();
  keepalive.check();
  await clock.advance(KEEPALIVE_LIMIT_MS);
  assertEquals([world.asked, world.lost], [1, 1]);
});

Deno.test("what was closed meanwhile is not lost", async () => {
  const { clock, keepalive, world } = setUp();
  world.answers = false;
  keepalive.check();
  keepalive.end();
  await clock.advance(KEEPALIVE_LIMIT_MS);
  assertEquals(world.lost, 0);
});
