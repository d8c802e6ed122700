/**
 * Waits for the next packet: first by polling, then asleep.
 *
 * Waking a sleeping thread on an idle processor takes longer than forwarding a
 * packet, in a virtual machine many times longer. The thread therefore polls
 * for a short time, like KVM's halt polling (Documentation/virt/kvm/
 * halt-polling.rst), and only while that pays: after a wait that was longer
 * than the window it sleeps at once until packets come close together again.
 * Between two polls it yields the processor.
 *
 * Under load the thread polls only a few times: that gives the processor to the
 * threads that produce or consume the packets and avoids most sleeps and
 * wake-ups. Polling longer would not pay, because packets that arrive meanwhile
 * make the next turn larger, and a larger turn costs less per byte.
 *
 * @module
 */

import type { Clock } from "../../../linux/clock.ts";
import type { Poller } from "../../../linux/poll.ts";

/**
 * How long to poll: about the time between a request and its answer on a fast
 * network. Packets that are further apart never keep a processor busy.
 */
export const BUSY_POLL_WINDOW_MS = 0.05;

/** How often to poll under load. */
export const BULK_LOOKS = 8;

/** More than this in the last turns is a bulk transfer: half a super-packet. */
const BULK_BYTES = 32_768;

/** What the waiter needs. */
export interface PacketWaiterParts {
  readonly poller: Poller;
  readonly clock: Pick<Clock, "monotonic">;
  /** Lets another thread run: sched_yield(2). */
  readonly yieldProcessor: () => void;
}

/** Polling limits. */
export interface PacketWaiterOptions {
  /** The longest polling time under low load; 0 to sleep at once. */
  readonly windowMs: number;
  /** How often to poll under load. */
  readonly bulkLooks: number;
}

/** Waits on a {@linkcode Poller}. */
export class PacketWaiter {
  readonly #poller: Poller;
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #yieldProcessor: () => void;
  readonly #options: PacketWaiterOptions;
  #looking = false;
  /** Bytes moved in the last turns, with decreasing weight. */
  #recentBytes = 0;

  constructor(parts: PacketWaiterParts, options: PacketWaiterOptions) {
    this.#poller = parts.poller;
    this.#clock = parts.clock;
    this.#yieldProcessor = parts.yieldProcessor;
    this.#options = options;
  }

  /** Whether the load is high. */
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
