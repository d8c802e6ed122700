/**
 * The most memory that agents have while they work.
 *
 * @module
 */

import { residentMemory } from "./measure/memory.ts";

const SAMPLE_MS = 250;

/** The larger of the two agents, at its largest. Megabytes are of 10^6 bytes. */
export class MemoryWatch {
  rssMb = 0;
  rssAnonMb = 0;

  /** Does `work` and samples the processes meanwhile. */
  async during<Result>(
    pids: readonly number[],
    work: () => Promise<Result>,
  ): Promise<Result> {
    const sample = () => {
      for (const pid of pids) {
        const { rssAnonMb, rssMb } = residentMemory(pid);
        this.rssMb = Math.max(this.rssMb, rssMb);
        this.rssAnonMb = Math.max(this.rssAnonMb, rssAnonMb);
      }
    };
    sample();
    const timer = setInterval(sample, SAMPLE_MS);
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  }
}
