/**
 * A poller whose descriptors become readable when a test says so.
 *
 * @module
 */

import type { Poller } from "../../linux/poll.ts";

/** Throws where a real wait would never end. */
export class FakePoller implements Poller {
  /** Timeouts of all waits, in order. */
  readonly waits: number[] = [];
  /** Called before each wait: where a test lets something happen. */
  onWait: (timeoutMs: number) => void = () => {};
  readonly #readable = new Set<number>();
  readonly #broken = new Set<number>();
  readonly #ignored = new Set<number>();
  readonly #found = new Set<number>();

  /** Whether a descriptor has something to read from now on. */
  setReadable(index: number, readable: boolean): void {
    if (readable) this.#readable.add(index);
    else this.#readable.delete(index);
  }

  /** The descriptor will never work again. */
  break(index: number): void {
    this.#broken.add(index);
  }

  wait(timeoutMs: number): number {
    this.waits.push(timeoutMs);
    this.onWait(timeoutMs);
    this.#found.clear();
    for (const index of [...this.#readable, ...this.#broken]) {
      if (!this.#ignored.has(index)) this.#found.add(index);
    }
    if (this.#found.size === 0 && timeoutMs < 0) {
      throw new Error("Cannot continue: nothing would ever end this wait");
    }
    return this.#found.size;
  }

  readable(index: number): boolean {
    return this.#found.has(index) && this.#readable.has(index);
  }

  watch(index: number, watched: boolean): void {
    if (watched) this.#ignored.delete(index);
    else this.#ignored.add(index);
  }

  broken(index: number): boolean {
    return this.#found.has(index) && this.#broken.has(index);
  }

  /** Whether the descriptor is looked at. */
  watches(index: number): boolean {
    return !this.#ignored.has(index);
  }
}
