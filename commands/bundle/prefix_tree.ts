/**
 * Replaces addresses by others such that two that share a prefix of any length
 * still share a prefix of exactly that length.
 *
 * That is what Crypto-PAn does with a key. A bundle needs no key, because it is
 * made in one go: each node of the tree is a random bit.
 *
 * @module
 */

/** A random bit. */
export type RandomBit = () => boolean;

/** One tree, for addresses of one length. */
export class PrefixTree {
  readonly #bits: number;
  readonly #random: RandomBit;
  readonly #flips = new Map<string, boolean>();

  constructor(bits: number, random: RandomBit) {
    this.#bits = bits;
    this.#random = random;
  }

  /** @param kept so many bits at the begin stay as they are. */
  map(address: bigint, kept: number): bigint {
    let result = 0n;
    for (let bit = 0; bit < this.#bits; bit++) {
      const shift = BigInt(this.#bits - bit - 1);
      const own = address >> shift & 1n;
      const isFlipped = bit >= kept &&
        this.#flip(`${bit}:${address >> shift >> 1n}`);
      result = result << 1n | (isFlipped ? own ^ 1n : own);
    }
    return result;
  }

  #flip(node: string): boolean {
    let flip = this.#flips.get(node);
    if (flip === undefined) {
      flip = this.#random();
      this.#flips.set(node, flip);
    }
    return flip;
  }
}
