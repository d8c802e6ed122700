import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import * as layout from "../../../../../backend/udp/tun/layout.ts";
import { addressOf, libc } from "../../../../../linux/libc.ts";
import { openEventDescriptor, signalEvent } from "../../../../../linux/poll.ts";
import {
  BY_HELPER,
  BY_PRIMARY,
  COLLISIONS,
} from "../../../../support/handover_words.ts";
import type { HandoverStart } from "../../../../support/handover_worker.ts";
import { KernelWorld } from "../../../../support/kernel_world.ts";

/** Both loops in threads of their own. */
function startThreads() {
  const { memory, state } = new KernelWorld();
  const [tun, udp, wakePrimary, wakeHelper] = Array.from(
    { length: 4 },
    openEventDescriptor,
  ) as [number, number, number, number];
  const start = (role: HandoverStart["role"]) => {
    const worker = new Worker(
      new URL("../../../../support/handover_worker.ts", import.meta.url),
      { type: "module" },
    );
    const ended = new Promise<number>((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
    });
    const [wakeUp, otherWakeUp] = role === "primary"
      ? [wakePrimary, wakeHelper]
      : [wakeHelper, wakePrimary];
    worker.postMessage(
      {
        role,
        memory: memory.memory,
        tun,
        udp,
        wakeUp,
        otherWakeUp,
      } satisfies HandoverStart,
    );
    return { worker, ended };
  };
  const threads = [start("primary"), start("helper")];
  const read = (word: number) => Atomics.load(memory.words, word);
  return {
    read,
    owner: () => read(layout.CONTROL_RECEIVER >> 2),
    isReady: () => read(layout.CONTROL_HELPER_READY >> 2) !== 0,
    received: () => read(BY_PRIMARY) + read(BY_HELPER),
    /** Packets arrive at the socket, or at the device. */
    arrive(packets: number, at: "tun" | "udp" = "udp") {
      const value = BigUint64Array.of(BigInt(packets));
      libc().write(at === "udp" ? udp : tun, addressOf(value), 8);
    },
    async stop() {
      state.requestStop();
      signalEvent(wakePrimary);
      signalEvent(wakeHelper);
      const results = await Promise.all(threads.map(({ ended }) => ended));
      for (const { worker } of threads) worker.terminate();
      for (const fd of [tun, udp, wakePrimary, wakeHelper]) libc().close(fd);
      return results;
    },
  };
}

/** The end is for a defect only: a thread on a busy machine may take seconds to start. */
async function until(what: string, condition: () => boolean) {
  const deadline = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`no ${what}`);
    await delay(1);
  }
}

Deno.test("the receiving goes to and fro under load: one receiver at a time, no packet forgotten, a stop at any time", async () => {
  const threads = startThreads();
  await until("helper", threads.isReady);
  let sent = 0;
  const arrive = (packets: number) => {
    threads.arrive(packets);
    threads.arrive(1, "tun");
    sent += packets;
  };
  for (let round = 0; round < 5; round++) {
    await until("loan", () => {
      arrive(30);
      return threads.owner() === layout.RECEIVER_HELPER;
    });
    await until("return", () => {
      arrive(1);
      return threads.owner() === layout.RECEIVER_PRIMARY;
    });
    await until("last packet", () => threads.received() === sent);
  }
  await until("last loan", () => {
    arrive(30);
    return threads.owner() === layout.RECEIVER_HELPER;
  });
  await until("last packet", () => threads.received() === sent);
  assertEquals(await threads.stop(), [0, 0]);
  assertEquals(threads.read(COLLISIONS), 0);
  assert(threads.read(BY_PRIMARY) > 0 && threads.read(BY_HELPER) > 0);
});
