/**
 * Pauses between attempts.
 *
 * @module
 */

import type { RandomSource } from "./random.ts";

/** How long pauses are, in milliseconds. */
export interface BackoffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * Pauses that double up to a limit, each spread over its upper half: hosts that
 * lost etcd in one instant do not all come back in one instant.
 */
export class Backoff {
  readonly #random: RandomSource;
  readonly #limits: BackoffLimits;
  #pauseMs: number;

  constructor(random: RandomSource, limits: BackoffLimits) {
    this.#random = random;
    this.#limits = limits;
    this.#pauseMs = limits.firstMs;
  }

  /** The next pause, in milliseconds. */
  next(): number {
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(pauseMs * 2, this.#limits.maxMs);
    return pauseMs / 2 + this.#random.below(Math.floor(pauseMs / 2) + 1);
  }

  /** The trouble is over: the next pause is the first again. */
  reset(): void {
    this.#pauseMs = this.#limits.firstMs;
  }
}
