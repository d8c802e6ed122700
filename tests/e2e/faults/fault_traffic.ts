/**
 * Pings each 20 ms and a TCP stream to several hosts, and what became of them.
 *
 * @module
 */

import { SteadyTraffic } from "../steady_traffic.ts";
import type { Ends } from "../traffic.ts";

const PING_INTERVAL_SECONDS = 0.02;

/** See the module's text. */
export class FaultTraffic implements AsyncDisposable {
  readonly #flows: readonly SteadyTraffic[];
  /** Of each flow, those that are accounted for already. */
  readonly #seen: Set<number>[];

  private constructor(flows: readonly SteadyTraffic[]) {
    this.#flows = flows;
    this.#seen = flows.map(() => new Set());
  }

  /** Returns when all are under way. */
  static async start(ends: readonly Ends[]): Promise<FaultTraffic> {
    await using cleanup = new AsyncDisposableStack();
    const flows: SteadyTraffic[] = [];
    for (const each of ends) {
      flows.push(
        cleanup.use(await SteadyTraffic.start(each, PING_INTERVAL_SECONDS)),
      );
    }
    cleanup.move();
    return new FaultTraffic(flows);
  }

  /**
   * How many pings of each flow were lost since the last call. Throws when pings
   * or a stream have come to a standstill.
   */
  async lost(): Promise<number[]> {
    return await Promise.all(this.#flows.map(async (flow, index) => {
      const seen = this.#seen[index]!;
      const fresh = (await flow.soFar()).lost.filter((one) => !seen.has(one));
      for (const one of fresh) seen.add(one);
      return fresh.length;
    }));
  }

  /**
   * Ends all. Throws when a byte of a stream is missing or wrong.
   * @returns the pings of all flows, from the first to the last.
   */
  async finish(): Promise<{ readonly sent: number; readonly lost: number }> {
    const accounts = await Promise.all(
      this.#flows.map((flow) => flow.finish()),
    );
    return {
      sent: accounts.reduce((sum, { sent }) => sum + sent, 0),
      lost: accounts.reduce((sum, { lost }) => sum + lost.length, 0),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#flows.map((flow) => flow[Symbol.asyncDispose]()));
  }
}
