import { assertEquals } from "@std/assert";
import { HelperLoop } from "../../../../../backend/udp/tun/helper_loop.ts";
import * as layout from "../../../../../backend/udp/tun/layout.ts";
import { PrimaryLoop } from "../../../../../backend/udp/tun/primary_loop.ts";
import { ERRNO } from "../../../../../linux/errno.ts";
import { FakePoller } from "../../../../fakes/fake_poller.ts";
import { added, KernelWorld } from "../../../../support/kernel_world.ts";

/** What both loops stand on, and a script that runs one step at each wait. */
function makeParts(steps: readonly (() => void)[]) {
  const world = new KernelWorld();
  const poller = new FakePoller();
  const events: string[] = [];
  const word = (offset: number) => ({
    get: () => world.memory.words[offset >> 2]!,
    set: (value: number) => world.memory.words[offset >> 2] = value,
  });
  const stop = word(layout.CONTROL_STOP);
  const waiter = { busy: false, waits: 0, wait: (_moved: number) => {} };
  waiter.wait = (moved) => {
    if (moved > 0) events.push(`moved ${moved}`);
    const step = steps[waiter.waits++];
    if (step === undefined) stop.set(1);
    else step();
    poller.wait(0);
  };
  const direction = (name: string, bytes: number) => ({
    failure: 0,
    turn() {
      events.push(name);
      return bytes;
    },
  });
  return {
    world,
    poller,
    events,
    waiter,
    stop,
    receiver: direction("receive", 10),
    transmitter: direction("transmit", 1),
    owner: word(layout.CONTROL_RECEIVER),
    helperReady: word(layout.CONTROL_HELPER_READY),
    primaryBusy: word(layout.CONTROL_PRIMARY_BUSY),
    acknowledgeWakeUp: () => {
      events.push("acknowledge");
    },
  };
}

function primary(steps: readonly (() => void)[]) {
  const parts = makeParts(steps);
  const [tun, udp, wake] = [0, 1, 2];
  const loop = new PrimaryLoop({
    ...parts,
    memory: parts.world.memory,
    kernel: parts.world.kernel,
    askForHelper: () => parts.events.push("ask"),
    wakeHelper: () => parts.events.push("wake helper"),
  });
  return { ...parts, loop, tun, udp, wake };
}

function helper(steps: readonly (() => void)[]) {
  const parts = makeParts(steps);
  const [udp, wake] = [0, 1];
  const loop = new HelperLoop({
    ...parts,
    memory: parts.world.memory,
    kernel: parts.world.kernel,
    wakePrimary: () => parts.events.push("wake primary"),
  });
  return { ...parts, loop, udp, wake };
}

const repeat = (times: number, step: () => void = () => {}) =>
  Array.from({ length: times }, () => step);

Deno.test("the primary loop moves what is readable, and returns how much", () => {
  const world = primary([
    () => world.poller.setReadable(world.tun, true),
    () => world.poller.setReadable(world.udp, true),
    () => world.poller.setReadable(world.tun, false),
  ]);
  assertEquals(world.loop.run(), 0);
  assertEquals(world.events, [
    "transmit",
    "moved 1",
    "transmit",
    "receive",
    "moved 11",
    "receive",
    "moved 10",
    "receive",
  ]);
});

Deno.test("the primary loop ends when the device is broken, or fails in either direction", () => {
  const broken = primary([() => broken.poller.break(broken.tun)]);
  assertEquals(broken.loop.run(), ERRNO.ENODEV);
  const unreadable = primary([() => {
    unreadable.transmitter.failure = ERRNO.EBADFD;
  }]);
  assertEquals(unreadable.loop.run(), ERRNO.EBADFD);
  const unwritable = primary([() => {
    unwritable.receiver.failure = ERRNO.EBADFD;
  }]);
  assertEquals(unwritable.loop.run(), ERRNO.EBADFD);
});

Deno.test("a loop that was told to stop before it began does nothing", () => {
  const world = primary([]);
  world.stop.set(1);
  assertEquals(world.loop.run(), 0);
  assertEquals(world.waiter.waits, 0);
});

Deno.test("both loops take a new table when they are woken", () => {
  for (
    const [make, word] of [
      [primary, layout.CONTROL_TABLE_ACTIVE],
      [helper, layout.CONTROL_TABLE_HELPER],
    ] as const
  ) {
    const world = make([
      () => {
        world.world.state.changePeers(added());
        world.poller.setReadable(world.wake, true);
      },
      () => world.poller.setReadable(world.wake, false),
    ]);
    world.loop.run();
    const { words } = world.world.memory;
    assertEquals(words[word >> 2], words[layout.CONTROL_TABLE_WANTED >> 2]);
    assertEquals(world.events, ["acknowledge"]);
  }
});

Deno.test("a helper is asked for once, after sixteen busy turns in a row", () => {
  const world = primary([
    () => world.waiter.busy = true,
    ...repeat(13),
    // A quiet turn restarts the count.
    () => world.waiter.busy = false,
    () => world.waiter.busy = true,
    ...repeat(14),
    () => world.events.push("sixteenth"),
    ...repeat(40),
  ]);
  world.loop.run();
  assertEquals(world.events, ["sixteenth", "ask"]);
});

Deno.test("a busy primary lends the receiving to a helper that is ready, and receives no more", () => {
  const world = primary([
    () => {
      world.helperReady.set(1);
      world.waiter.busy = true;
    },
    ...repeat(15),
    () => world.poller.setReadable(world.udp, true),
    ...repeat(30),
  ]);
  world.loop.run();
  assertEquals(world.events, ["wake helper"]);
  assertEquals(world.owner.get(), layout.RECEIVER_HELPER);
  assertEquals(world.poller.watches(world.udp), false);
  assertEquals(world.primaryBusy.get(), 1);
});

Deno.test("the primary receives again when the helper has given back, and not for any other wake-up", () => {
  const world = primary([
    () => {
      world.helperReady.set(1);
      world.waiter.busy = true;
      world.poller.setReadable(world.udp, true);
    },
    ...repeat(16),
    () => {
      world.events.length = 0;
      world.waiter.busy = false;
      world.poller.setReadable(world.wake, true);
    },
    () => world.events.push("given back"),
    () => world.owner.set(layout.RECEIVER_PRIMARY),
    () => world.poller.setReadable(world.wake, false),
  ]);
  world.loop.run();
  assertEquals(world.events.slice(0, 4), [
    "acknowledge",
    "given back",
    "acknowledge",
    "acknowledge",
  ]);
  assertEquals(world.events.includes("receive"), true);
  assertEquals(world.poller.watches(world.udp), true);
});

Deno.test("a helper receives nothing before it is lent the receiving", () => {
  const world = helper([
    () => world.poller.setReadable(world.udp, true),
    () => world.poller.setReadable(world.wake, true),
  ]);
  world.loop.run();
  assertEquals(world.events.includes("receive"), false);
  assertEquals(world.helperReady.get(), 1);
});

Deno.test("a helper gives the receiving back after 64 quiet turns in a row of both", () => {
  const received = () => world.events.filter((e) => e === "receive").length;
  let atReturn = 0;
  const world = helper([
    () => {
      world.owner.set(layout.RECEIVER_HELPER);
      world.poller.setReadable(world.wake, true);
      world.poller.setReadable(world.udp, true);
    },
    () => world.poller.setReadable(world.wake, false),
    ...repeat(50),
    () => world.primaryBusy.set(1),
    () => {
      world.primaryBusy.set(0);
      atReturn = received() + 64;
    },
    ...repeat(100),
  ]);
  world.loop.run();
  assertEquals(world.events.filter((e) => e === "wake primary").length, 1);
  assertEquals(received(), atReturn);
  assertEquals(world.owner.get(), layout.RECEIVER_PRIMARY);
  assertEquals(world.poller.watches(world.udp), false);
});

Deno.test("a helper stops while it has the receiving, and fails when the device does", () => {
  const lend = (world: ReturnType<typeof helper>) => {
    world.owner.set(layout.RECEIVER_HELPER);
    world.poller.setReadable(world.wake, true);
    world.poller.setReadable(world.udp, true);
  };
  const stopped = helper([() => lend(stopped), () => {}]);
  assertEquals(stopped.loop.run(), 0);
  const failed = helper([() => lend(failed), () => {
    failed.receiver.failure = ERRNO.EBADFD;
  }]);
  assertEquals(failed.loop.run(), ERRNO.EBADFD);
});
