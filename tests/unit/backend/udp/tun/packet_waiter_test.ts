import { assertEquals } from "@std/assert";
import {
  PacketWaiter,
  type PacketWaiterOptions,
} from "../../../../../backend/udp/tun/packet_waiter.ts";
import { FakePoller } from "../../../../fakes/fake_poller.ts";

const PACKET = 0;

/** Time passes with each yield and as the script of arrivals says. */
function makeWorld(options: Partial<PacketWaiterOptions> = {}) {
  const poller = new FakePoller();
  let nowMs = 0;
  let yields = 0;
  let arrivalMs = Infinity;
  poller.onWait = (timeoutMs) => {
    // Asleep until the packet comes.
    if (timeoutMs < 0) nowMs = Math.max(nowMs, arrivalMs);
    poller.setReadable(PACKET, nowMs >= arrivalMs);
  };
  const waiter = new PacketWaiter(
    {
      poller,
      clock: { monotonic: () => nowMs },
      yieldProcessor: () => {
        yields++;
        nowMs += 0.01;
      },
    },
    { windowMs: 0.05, bulkLooks: 3, ...options },
  );
  return {
    waiter,
    poller,
    /** Waits for a packet that comes after so long; how the waiter waited. */
    waitFor(afterMs: number, movedBytes = 100) {
      arrivalMs = nowMs + afterMs;
      const waitsBefore = poller.waits.length;
      const yieldsBefore = yields;
      waiter.wait(movedBytes);
      return {
        slept: poller.waits.slice(waitsBefore).includes(-1),
        looks: poller.waits.slice(waitsBefore).filter((ms) => ms === 0).length,
        yields: yields - yieldsBefore,
      };
    },
  };
}

Deno.test("the first wait sleeps", () => {
  const { waitFor } = makeWorld();
  assertEquals(waitFor(0.02), { slept: true, looks: 0, yields: 0 });
});

Deno.test("after a packet that came soon, the thread polls for the next, with a yield in between", () => {
  const { waitFor } = makeWorld();
  waitFor(0.02);
  assertEquals(waitFor(0.02), { slept: false, looks: 3, yields: 2 });
});

Deno.test("after a packet that came late, the next is slept for", () => {
  const { waitFor } = makeWorld();
  waitFor(0.02);
  const late = waitFor(1);
  assertEquals(late.slept, true);
  assertEquals(late.looks > 0, true);
  assertEquals(waitFor(0.02), { slept: true, looks: 0, yields: 0 });
  assertEquals(waitFor(0.02).slept, false);
});

Deno.test("a window of 0 sleeps at once, always", () => {
  const { waitFor } = makeWorld({ windowMs: 0 });
  waitFor(0);
  assertEquals(waitFor(0), { slept: true, looks: 0, yields: 0 });
});

Deno.test("while much moves it looks a few times whatever the window, then sleeps", () => {
  const { waiter, waitFor } = makeWorld({ windowMs: 0 });
  assertEquals(waitFor(1, 40_000), { slept: true, looks: 3, yields: 3 });
  assertEquals(waiter.busy, true);
  assertEquals(waitFor(0.01, 40_000), { slept: false, looks: 2, yields: 1 });
});

Deno.test("it is busy for some turns after much has moved, and not for ever", () => {
  const { waiter, waitFor } = makeWorld();
  assertEquals(waiter.busy, false);
  waitFor(0, 40_000);
  assertEquals(waiter.busy, true);
  waitFor(0, 0);
  assertEquals(waiter.busy, false);
  waitFor(0, 1_000_000);
  let turns = 0;
  for (; waiter.busy; turns++) waitFor(0, 0);
  assertEquals(turns, 12);
});
