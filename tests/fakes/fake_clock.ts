/**
 * A clock that stands still until a test moves it.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { Clock } from "../../linux/clock.ts";

interface Sleeper {
  readonly wakeAt: number;
  readonly wake: () => void;
}

/**
 * Both clocks start at the same moment and move only by {@linkcode advance} (both)
 * and {@linkcode jumpWallClock} (the wall clock).
 *
 * @example
 * ```ts
 * import { FakeClock } from "./fake_clock.ts";
 * const clock = new FakeClock();
 * clock.sleep(5_000).then(() => console.log("five seconds later"));
 * await clock.advance(5_000);
 * ```
 */
export class FakeClock implements Clock {
  #now: number;
  #monotonic = 0;
  /** In the order in which they will wake; those of one moment as they came. */
  #sleepers: Sleeper[] = [];

  /** @param startMilliseconds What `now()` says first; 2026-01-01 by default. */
  constructor(startMilliseconds = Date.UTC(2026, 0, 1)) {
    this.#now = startMilliseconds;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1);
        reject(signal!.reason);
      };
      const sleeper: Sleeper = {
        wakeAt: this.#monotonic + Math.max(0, milliseconds),
        wake: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      const later = this.#sleepers.findIndex((other) =>
        other.wakeAt > sleeper.wakeAt
      );
      this.#sleepers.splice(
        later < 0 ? this.#sleepers.length : later,
        0,
        sleeper,
      );
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** How many calls of `sleep` wait now. */
  get sleepers(): number {
    return this.#sleepers.length;
  }

  /** Milliseconds until the next sleeper wakes, `undefined` when all are awake. */
  get nextWakeMilliseconds(): number | undefined {
    const next = this.#sleepers[0];
    return next && next.wakeAt - this.#monotonic;
  }

  /**
   * Moves both clocks on and wakes the sleepers whose time comes, one by one in
   * order, each at its own moment. What a woken one does by promises alone is
   * done before the next one wakes, so sleeps that it starts within the span are
   * woken too. Resolves when everything has settled.
   */
  async advance(milliseconds: number): Promise<void> {
    await this.settle();
    const end = this.#monotonic + milliseconds;
    for (;;) {
      const next = this.#sleepers[0];
      if (next === undefined || next.wakeAt > end) break;
      this.#sleepers.shift();
      this.#moveTo(next.wakeAt);
      next.wake();
      await this.settle();
    }
    this.#moveTo(end);
  }

  /** Lets every promise that can go on do so, without moving time. */
  async settle(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(() => resolve()));
  }

  /** Changes the wall clock alone, as an administrator or NTP does. */
  jumpWallClock(milliseconds: number): void {
    this.#now += milliseconds;
  }

  #moveTo(monotonic: number): void {
    this.#now += monotonic - this.#monotonic;
    this.#monotonic = monotonic;
  }
}
