/**
 * One of the data path's loops, with eventfds for the device and the socket: what
 * is written to them counts as packets.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { HelperLoop } from "../../backend/udp/tun/helper_loop.ts";
import { PacketWaiter } from "../../backend/udp/tun/packet_waiter.ts";
import { PrimaryLoop } from "../../backend/udp/tun/primary_loop.ts";
import { addressOf, libc } from "../../linux/libc.ts";
import { PacketMemory } from "../../linux/packet_memory.ts";
import {
  clearEvent,
  KernelPoller,
  signalEvent,
  yieldProcessor,
} from "../../linux/poll.ts";
import {
  BY_HELPER,
  BY_PRIMARY,
  COLLISIONS,
  OCCUPIED,
} from "./handover_words.ts";

/** What a thread is told at its start. */
export interface HandoverStart {
  readonly role: "primary" | "helper";
  readonly memory: WebAssembly.Memory;
  readonly tun: number;
  readonly udp: number;
  readonly wakeUp: number;
  readonly otherWakeUp: number;
}

/** As a full receive of the real socket. */
const BYTES_PER_PACKET = 2_000;

self.onmessage = ({ data: start }: MessageEvent<HandoverStart>) => {
  const memory = new PacketMemory(start.memory);
  const isPrimary = start.role === "primary";
  const poller = new KernelPoller(
    isPrimary
      ? [start.tun, start.udp, start.wakeUp]
      : [start.udp, start.wakeUp],
  );
  const wakeOther = () => signalEvent(start.otherWakeUp);
  const parts = {
    memory,
    kernel: { useTable() {} },
    poller,
    waiter: new PacketWaiter(
      {
        poller,
        clock: { monotonic: () => performance.now() },
        yieldProcessor,
      },
      { windowMs: 0, bulkLooks: 0 },
    ),
    receiver: receiver(
      memory.words,
      start.udp,
      isPrimary ? BY_PRIMARY : BY_HELPER,
    ),
    acknowledgeWakeUp: () => clearEvent(start.wakeUp),
  };
  self.postMessage(
    isPrimary
      ? new PrimaryLoop({
        ...parts,
        transmitter: { failure: 0, turn: () => take(start.tun) },
        askForHelper: () => {},
        wakeHelper: wakeOther,
      }).run()
      : new HelperLoop({ ...parts, wakePrimary: wakeOther }).run(),
  );
};

function receiver(words: Uint32Array, udp: number, counter: number) {
  return {
    failure: 0,
    turn(): number {
      if (Atomics.exchange(words, OCCUPIED, 1) !== 0) {
        Atomics.add(words, COLLISIONS, 1);
      }
      const packets = take(udp);
      Atomics.add(words, counter, packets);
      Atomics.store(words, OCCUPIED, 0);
      return packets * BYTES_PER_PACKET;
    },
  };
}

/** What was written to an eventfd since the last time, 0 when nothing was. */
function take(descriptor: number): number {
  const value = new BigUint64Array(1);
  return libc().read(descriptor, addressOf(value), 8) < 0
    ? 0
    : Number(value[0]);
}
