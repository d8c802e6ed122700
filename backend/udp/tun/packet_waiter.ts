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
 * @module
 */

import type { Clock } from "../../../linux/clock.ts";
import type { Poller } from "../../../linux/poll.ts";

/**
 * How long to look. A request and its answer over a quick network are about this
 * far apart; a processor is never kept busy by packets that are further apart.
 */
export const BUSY_POLL_WINDOW_MS = 0.05;

/** What the waiter stands on. */
export interface PacketWaiterParts {
  readonly poller: Poller;
  readonly clock: Pick<Clock, "monotonic">;
  /** Lets another thread run: sched_yield(2). */
  readonly yieldProcessor: () => void;
}

/** Waits on a {@linkcode Poller}. */
export class PacketWaiter {
  readonly #poller: Poller;
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #yieldProcessor: () => void;
  readonly #windowMs: number;
  #looking = false;

  /** @param windowMs The longest time to look, 0 to go to sleep at once. */
  constructor(parts: PacketWaiterParts, windowMs: number) {
    this.#poller = parts.poller;
    this.#clock = parts.clock;
    this.#yieldProcessor = parts.yieldProcessor;
    this.#windowMs = windowMs;
  }

  /** Returns when a descriptor of the poller is readable or broken. */
  wait(): void {
    if (this.#windowMs === 0) {
      this.#poller.wait(-1);
      return;
    }
    const start = this.#clock.monotonic();
    if (this.#looking && this.#look(start + this.#windowMs)) return;
    this.#poller.wait(-1);
    this.#looking = this.#clock.monotonic() - start < this.#windowMs;
  }

  #look(end: number): boolean {
    for (;;) {
      if (this.#poller.wait(0) > 0) return true;
      if (this.#clock.monotonic() > end) return false;
      this.#yieldProcessor();
    }
  }
}
