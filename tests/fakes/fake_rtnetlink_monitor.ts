/**
 * Changes of a network namespace that a test tells of.
 *
 * @module
 */

import type {
  RtnetlinkMonitor,
  RtnetlinkTable,
} from "../../linux/netlink/rtnetlink_monitor.ts";
import { FakeDescriptorWatch } from "./fake_descriptor_watch.ts";

/** Gathers what is told until its loop asks, as the kernel's socket does. */
export class FakeRtnetlinkMonitor implements RtnetlinkMonitor {
  #pending = new Set<RtnetlinkTable>();
  #watch: FakeDescriptorWatch | undefined;

  /** Something of each table has changed. */
  tell(...tables: readonly RtnetlinkTable[]): void {
    for (const table of tables) this.#pending.add(table);
    this.#watch?.setReady(0, this.#pending.size > 0);
  }

  async *changes(
    signal: AbortSignal,
  ): AsyncGenerator<ReadonlySet<RtnetlinkTable>> {
    const watch = this.#watch = new FakeDescriptorWatch(1);
    const stop = () => watch.stop();
    signal.addEventListener("abort", stop, { once: true });
    try {
      while (!signal.aborted) {
        watch.setReady(0, this.#pending.size > 0);
        await watch.wait();
        if (signal.aborted) return;
        const tables = this.#pending;
        this.#pending = new Set();
        yield tables;
      }
    } finally {
      signal.removeEventListener("abort", stop);
      this.#watch = undefined;
    }
  }

  [Symbol.dispose](): void {}
}
