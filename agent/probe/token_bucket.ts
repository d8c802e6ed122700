/**
 * A limit on how often something is done.
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";

/** So many a second, and after a pause `burst` at once. */
export interface RateLimit {
  readonly perSecond: number;
  readonly burst: number;
}

/** Tokens that come back with time. */
export class TokenBucket {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #limit: RateLimit;
  #tokens: number;
  #filledMs: number;

  constructor(clock: Pick<Clock, "monotonic">, limit: RateLimit) {
    this.#clock = clock;
    this.#limit = limit;
    this.#tokens = limit.burst;
    this.#filledMs = clock.monotonic();
  }

  /** Whether there is no token. */
  get isEmpty(): boolean {
    this.#fill();
    return this.#tokens < 1;
  }

  /** @returns whether there was a token. */
  take(): boolean {
    if (this.isEmpty) return false;
    this.#tokens--;
    return true;
  }

  #fill(): void {
    const nowMs = this.#clock.monotonic();
    const { burst, perSecond } = this.#limit;
    this.#tokens = Math.min(
      burst,
      this.#tokens + (nowMs - this.#filledMs) / 1_000 * perSecond,
    );
    this.#filledMs = nowMs;
  }
}
