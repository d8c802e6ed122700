/**
 * What agents use, from fault to fault.
 *
 * @module
 */

import { residentMemory } from "../../bench/measure/memory.ts";
import { growthOf, LEAST_SAMPLES, type Usage } from "./growth.ts";

/** An agent; after a restart it counts as another one. */
interface Watched {
  readonly name: string;
  readonly pid: number;
}

/** What is known of growth. */
export interface Growth {
  /** How many processes were looked at often enough. */
  readonly judged: number;
  /** What grows, for people; none when nothing does. */
  readonly grows: readonly string[];
}

/** See the module's text. */
export class UsageWatch {
  readonly #samples = new Map<number, { name: string; usages: Usage[] }>();

  /** Looks at these processes now. */
  sample(processes: readonly Watched[]): void {
    for (const { name, pid } of processes) {
      const { usages } = this.#samples.get(pid) ?? { usages: [] };
      this.#samples.set(pid, { name, usages: [...usages, usageOf(pid)] });
    }
  }

  /** Of those that were looked at often enough. */
  growth(): Growth {
    const judged = [...this.#samples].filter(([, { usages }]) =>
      usages.length >= LEAST_SAMPLES
    );
    return {
      judged: judged.length,
      grows: judged.flatMap(([pid, { name, usages }]) =>
        growthOf(usages).map((what) => `${name}, process ${pid}: ${what}`)
      ),
    };
  }

  /** A line for each process: its first and its last figures. */
  lines(): string[] {
    return [...this.#samples].map(([pid, { name, usages }]) => {
      const [first, last] = [usages[0]!, usages.at(-1)!];
      return `${name}, process ${pid}, ${usages.length} samples: memory ` +
        `${first.memoryMb.toFixed(1)} -> ${last.memoryMb.toFixed(1)} MB, ` +
        `descriptors ${first.descriptors} -> ${last.descriptors}, ` +
        `threads ${first.threads} -> ${last.threads}`;
    });
  }
}

function usageOf(pid: number): Usage {
  const count = (directory: string) =>
    [...Deno.readDirSync(`/proc/${pid}/${directory}`)].length;
  return {
    memoryMb: residentMemory(pid).rssAnonMb,
    descriptors: count("fd"),
    threads: count("task"),
  };
}
