/**
 * Waiting for the next packet: first by looking again and again, then asleep.
 *
 * To wake a sleeping thread on an idle processor takes longer than to forward a
 * packet, in a virtual machine many times longer. So the thread keeps looking
 * for a short while, as KVM's halt polling does (Documentation/virt/kvm/
 * halt-polling.rst), and only while that pays: after a wait that was longer than
 * the window it goes to sleep at once, until packets come close together again.
 * Between two looks it yields, so that who needs the processor gets it.
 *
 * Where much moves at once the thread looks a few times only: that gives the
 * processor to those who make or take the packets, and saves most of the sleeping
 * and waking. To look for longer would not pay, since what comes in the meantime
 * makes the next turn larger, and a larger turn costs less a byte.
 *
 * @module
 */

import type { Clock } from "../../../linux/clock.ts";
import type { Poller } from "../../../linux/poll.ts";

/**
 * How long to look. A request and its answer over a quick network are about this
 * far apart; a processor is never kept busy by packets that are further apart.
 */
export const BUSY_POLL_WINDOW_MS = 0.05;

/** How often to look while much moves. */
export const BULK_LOOKS = 8;

/** More than this in the last turns is a bulk transfer: half a super-packet. */
const BULK_BYTES = 32_768;

/** What the waiter stands on. */
export interface PacketWaiterParts {
  readonly poller: Poller;
  readonly clock: Pick<Clock, "monotonic">;
  /** Lets another thread run: sched_yield(2). */
  readonly yieldProcessor: () => void;
}

/** How patiently to look. */
export interface PacketWaiterOptions {
  /** The longest time to look while little moves, 0 to go to sleep at once. */
  readonly windowMs: number;
  /** How often to look while much moves. */
  readonly bulkLooks: number;
}

/** Waits on a {@linkcode Poller}. */
export class PacketWaiter {
  readonly #poller: Poller;
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #yieldProcessor: () => void;
  readonly #options: PacketWaiterOptions;
  #looking = false;
  /** Bytes moved in the last turns; older ones count less and less. */
  #recentBytes = 0;

  constructor(parts: PacketWaiterParts, options: PacketWaiterOptions) {
    this.#poller = parts.poller;
    this.#clock = parts.clock;
    this.#yieldProcessor = parts.yieldProcessor;
    this.#options = options;
  }

  /** Whether much has been moved lately. */
  get busy(): boolean {
    return this.#recentBytes > BULK_BYTES;
  }

  /**
   * Returns when a descriptor of the poller is readable or broken.
   *
   * @param movedBytes What the turn since the last wait has moved.
   */
  wait(movedBytes: number): void {
    this.#recentBytes = this.#recentBytes * 0.75 + movedBytes;
    const { windowMs, bulkLooks } = this.#options;
    if (this.busy) {
      if (!this.#lookTimes(bulkLooks)) this.#poller.wait(-1);
      return;
    }
    if (windowMs === 0) {
      this.#poller.wait(-1);
      return;
    }
    const start = this.#clock.monotonic();
    if (this.#looking && this.#look(start + windowMs)) return;
    this.#poller.wait(-1);
    this.#looking = this.#clock.monotonic() - start < windowMs;
  }

  #lookTimes(times: number): boolean {
    for (let look = 0; look < times; look++) {
      if (this.#poller.wait(0) > 0) return true;
      this.#yieldProcessor();
    }
    return false;
  }

  #look(end: number): boolean {
    for (;;) {
      if (this.#poller.wait(0) > 0) return true;
      if (this.#clock.monotonic() > end) return false;
      this.#yieldProcessor();
    }
  }
}
