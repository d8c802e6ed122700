/**
 * The loop of the helper, which receives while the primary worker lends it that
 * task.
 *
 * @module
 */

import type { PacketMemory } from "../../../linux/packet_memory.ts";
import type { Poller } from "../../../linux/poll.ts";
import * as layout from "./layout.ts";
import type { PacketKernel } from "./packet_kernel.ts";
import type { PacketWaiter } from "./packet_waiter.ts";
import { takePeerTable } from "./peer_table_switch.ts";
import type { Receiver } from "./receiver.ts";

/** What the loop needs. */
export interface HelperLoopParts {
  readonly memory: PacketMemory;
  readonly kernel: Pick<PacketKernel, "useTable">;
  readonly receiver: Pick<Receiver, "turn" | "failure">;
  /** Descriptors in the order UDP, wake-up. */
  readonly poller: Poller;
  readonly waiter: Pick<PacketWaiter, "wait" | "busy">;
  readonly acknowledgeWakeUp: () => void;
  /** Wakes the primary worker. */
  readonly wakePrimary: () => void;
}

const UDP = 0;
const WAKE_UP = 1;

/** Quiet turns in a row before the receiving is returned. */
const QUIET_TURNS = 64;

/** See the module's text. */
export class HelperLoop {
  readonly #parts: HelperLoopParts;
  #receiving = false;
  #quietTurns = 0;

  constructor(parts: HelperLoopParts) {
    this.#parts = parts;
  }

  /** As {@linkcode PrimaryLoop.run}. */
  run(): number {
    const { memory: { words }, poller, waiter, receiver } = this.#parts;
    poller.watch(UDP, false);
    this.#takePeerTable();
    Atomics.store(words, layout.CONTROL_HELPER_READY >> 2, 1);
    let movedBytes = 0;
    while (Atomics.load(words, layout.CONTROL_STOP >> 2) === 0) {
      waiter.wait(movedBytes);
      movedBytes = 0;
      if (poller.readable(WAKE_UP)) this.#onWakeUp();
      if (!this.#receiving) continue;
      if (poller.readable(UDP)) movedBytes = receiver.turn();
      if (receiver.failure !== 0) return receiver.failure;
      this.#considerReturn();
    }
    return 0;
  }

  #takePeerTable(): void {
    const { memory, kernel } = this.#parts;
    takePeerTable(memory, kernel, layout.CONTROL_TABLE_HELPER);
  }

  #onWakeUp(): void {
    const { memory: { words }, poller, acknowledgeWakeUp } = this.#parts;
    acknowledgeWakeUp();
    this.#takePeerTable();
    const owner = Atomics.load(words, layout.CONTROL_RECEIVER >> 2);
    if (this.#receiving || owner !== layout.RECEIVER_HELPER) return;
    this.#receiving = true;
    this.#quietTurns = 0;
    poller.watch(UDP, true);
  }

  #considerReturn(): void {
    const { memory: { words }, poller, waiter, wakePrimary } = this.#parts;
    const busy = waiter.busy ||
      Atomics.load(words, layout.CONTROL_PRIMARY_BUSY >> 2) !== 0;
    this.#quietTurns = busy ? 0 : this.#quietTurns + 1;
    if (this.#quietTurns < QUIET_TURNS) return;
    this.#receiving = false;
    poller.watch(UDP, false);
    Atomics.store(
      words,
      layout.CONTROL_RECEIVER >> 2,
      layout.RECEIVER_PRIMARY,
    );
    wakePrimary();
  }
}
