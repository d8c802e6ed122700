/**
 * A kernel that tells of changes of nftables when a test says so.
 *
 * @module
 */

import type { NftablesMonitor } from "../../linux/netlink/nftables_monitor.ts";

/** Keeps one change while there is no waiter, like a socket. */
export class FakeNftablesMonitor implements NftablesMonitor {
  /** When set, the next wait rejects with it. */
  failure: Error | undefined;
  #pending = false;
  #wake = Promise.withResolvers<void>();

  tell(): void {
    this.#pending = true;
    this.#wake.resolve();
  }

  async *changes(signal: AbortSignal): AsyncGenerator<void> {
    const stop = () => this.#wake.resolve();
    signal.addEventListener("abort", stop, { once: true });
    while (!signal.aborted) {
      if (this.failure !== undefined) throw this.failure;
      if (!this.#pending) await this.#wake.promise;
      this.#wake = Promise.withResolvers();
      if (signal.aborted) return;
      if (!this.#pending) continue;
      this.#pending = false;
      yield;
    }
  }

  [Symbol.dispose](): void {}
}
