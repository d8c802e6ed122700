/**
 * Randomness that is the same in every run.
 *
 * @module
 */

import type { RandomSource } from "../../linux/random.ts";

/**
 * Mulberry32 by Tommy Ettinger (public domain): equal seeds give equal
 * sequences, on every machine and in every release.
 */
export class FakeRandom implements RandomSource {
  #state: number;

  constructor(seed = 1) {
    this.#state = seed >>> 0;
  }

  below(limit: number): number {
    return Math.floor(this.#next() / 2 ** 32 * limit);
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  /** A whole number, 0 to 2^32 - 1. */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
}
