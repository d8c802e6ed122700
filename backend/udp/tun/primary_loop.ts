/**
 * The loop of the primary worker: both directions, except under load.
 *
 * One thread gives the lowest latency, because an answer needs no second
 * wake-up. But a bulk transfer works in both directions at once (data and
 * acknowledgements), and two processors do that faster. Under load, the
 * receiving is lent to a helper, which returns it when the load drops. It has
 * one owner at any time, so packets are never reordered.
 *
 * @module
 */

import { ERRNO } from "../../../linux/errno.ts";
import type { PacketMemory } from "../../../linux/packet_memory.ts";
import type { Poller } from "../../../linux/poll.ts";
import * as layout from "./layout.ts";
import type { PacketKernel } from "./packet_kernel.ts";
import type { PacketWaiter } from "./packet_waiter.ts";
import { takePeerTable } from "./peer_table_switch.ts";
import type { Receiver } from "./receiver.ts";
import type { Transmitter } from "./transmitter.ts";

/** What the loop needs. */
export interface PrimaryLoopParts {
  readonly memory: PacketMemory;
  readonly kernel: Pick<PacketKernel, "useTable">;
  readonly transmitter: Pick<Transmitter, "turn" | "failure">;
  readonly receiver: Pick<Receiver, "turn" | "failure">;
  /** Descriptors in the order TUN, UDP, wake-up. */
  readonly poller: Poller;
  readonly waiter: Pick<PacketWaiter, "wait" | "busy">;
  /** Called when another thread requests something. */
  readonly acknowledgeWakeUp: () => void;
  /** Asks the main thread for a helper, once. */
  readonly askForHelper: () => void;
  /** Wakes the helper. */
  readonly wakeHelper: () => void;
}

const TUN = 0;
const UDP = 1;
const WAKE_UP = 2;

/** Busy turns in a row before the receiving is lent: one burst is no transfer. */
const BUSY_TURNS = 16;

/** See the module's text. */
export class PrimaryLoop {
  readonly #parts: PrimaryLoopParts;
  #receiving = true;
  #busyTurns = 0;
  #askedForHelper = false;

  constructor(parts: PrimaryLoopParts) {
    this.#parts = parts;
  }

  /**
   * Runs until the main thread asks to stop (returns 0) or the TUN device is
   * gone (returns the error number).
   */
  run(): number {
    const { memory, poller, waiter, transmitter, receiver } = this.#parts;
    const words = memory.words;
    this.#takePeerTable();
    let movedBytes = 0;
    while (Atomics.load(words, layout.CONTROL_STOP >> 2) === 0) {
      waiter.wait(movedBytes);
      movedBytes = 0;
      if (poller.readable(WAKE_UP)) this.#onWakeUp();
      if (poller.broken(TUN)) return ERRNO.ENODEV;
      if (poller.readable(TUN)) movedBytes += transmitter.turn();
      if (this.#receiving && poller.readable(UDP)) {
        movedBytes += receiver.turn();
      }
      if (transmitter.failure !== 0) return transmitter.failure;
      if (receiver.failure !== 0) return receiver.failure;
      this.#considerHelper();
    }
    return 0;
  }

  #takePeerTable(): void {
    const { memory, kernel } = this.#parts;
    takePeerTable(memory, kernel, layout.CONTROL_TABLE_ACTIVE);
  }

  #onWakeUp(): void {
    const { memory, poller, acknowledgeWakeUp } = this.#parts;
    acknowledgeWakeUp();
    this.#takePeerTable();
    const owner = Atomics.load(memory.words, layout.CONTROL_RECEIVER >> 2);
    if (!this.#receiving && owner === layout.RECEIVER_PRIMARY) {
      this.#receiving = true;
      poller.watch(UDP, true);
    }
  }

  #considerHelper(): void {
    const { memory: { words }, waiter } = this.#parts;
    const busy = waiter.busy;
    if (!busy) this.#busyTurns = 0;
    else if (this.#busyTurns < BUSY_TURNS) this.#busyTurns++;
    Atomics.store(words, layout.CONTROL_PRIMARY_BUSY >> 2, Number(busy));
    if (!this.#receiving || this.#busyTurns < BUSY_TURNS) return;
    if (Atomics.load(words, layout.CONTROL_HELPER_READY >> 2) !== 0) {
      this.#lendReceiving();
    } else if (!this.#askedForHelper) {
      this.#askedForHelper = true;
      this.#parts.askForHelper();
    }
  }

  #lendReceiving(): void {
    const { memory: { words }, poller, wakeHelper } = this.#parts;
    this.#receiving = false;
    poller.watch(UDP, false);
    Atomics.store(
      words,
      layout.CONTROL_RECEIVER >> 2,
      layout.RECEIVER_HELPER,
    );
    wakeHelper();
  }
}
