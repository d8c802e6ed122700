/**
 * Randomness, as an interface.
 *
 * @module
 */

/** The source of randomness; tests replace it with a predictable one. */
export interface RandomSource {
  /** A whole number, uniform over 0 (included) to `limit` (excluded, ≤ 2^32). */
  below(limit: number): number;
  /** `length` random bytes. */
  bytes(length: number): Uint8Array;
}

/** The machine's cryptographic generator. */
export const systemRandom: RandomSource = {
  below(limit) {
    // Values in the incomplete last part of the range would favour small
    // results, so they are drawn again.
    const usable = 2 ** 32 - (2 ** 32 % limit);
    for (;;) {
      const value = crypto.getRandomValues(new Uint32Array(1))[0]!;
      if (value < usable) return value % limit;
    }
  },
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
};

/** In random order (Fisher and Yates). */
export function shuffled<T>(
  items: readonly T[],
  random: Pick<RandomSource, "below">,
): T[] {
  const all = [...items];
  for (let at = all.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [all[at], all[other]] = [all[other]!, all[at]!];
  }
  return all;
}
