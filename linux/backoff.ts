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
 * Pauses that double up to a limit, each randomised over its upper half, so
 * that hosts that lost etcd together do not all come back together.
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

  /** Resets the pauses after a success. */
  reset(): void {
    this.#pauseMs = this.#limits.firstMs;
  }
}
