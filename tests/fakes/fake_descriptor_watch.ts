/**
 * A wait for descriptors that become readable when a test says so.
 *
 * @module
 */

import type { DescriptorWaiter } from "../../linux/descriptor_watch.ts";

/** Descriptors are known by their place in the list. */
export class FakeDescriptorWatch implements DescriptorWaiter {
  stopped = false;
  readonly #ready: boolean[];
  #wake: (() => void) | undefined;

  constructor(count: number) {
    this.#ready = Array.from({ length: count }, () => false);
  }

  /** Whether to look at a descriptor from now on. */
  setReady(index: number, ready: boolean): void {
    this.#ready[index] = ready;
    if (ready) this.#wake?.();
  }

  async wait(): Promise<boolean[]> {
    if (this.#wake !== undefined) {
      throw new TypeError("Cannot wait for descriptors: one wait at a time");
    }
    if (!this.stopped && !this.#ready.includes(true)) {
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
    return this.#ready.map((ready) => ready && !this.stopped);
  }

  stop(): Promise<void> {
    this.stopped = true;
    this.#wake?.();
    return Promise.resolve();
  }
}
