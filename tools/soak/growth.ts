/**
 * Whether a process uses more and more.
 *
 * @module
 */

import { median } from "../../bench/median.ts";

/** What a process uses at one moment, when all is well. */
export interface Usage {
  /** Megabytes of 10^6 bytes that no file backs. */
  readonly memoryMb: number;
  readonly descriptors: number;
  readonly threads: number;
}

/** So many samples at least; with fewer, a busy minute cannot be told from growth. */
export const LEAST_SAMPLES = 30;
/** A connection or a pool's thread more or less is no leak. */
const SLACK = 4;
/** V8 takes memory before it gives any back. */
const MEMORY_SLACK_MB = 10;
const MEMORY_FACTOR = 1.15;

/**
 * What grows, for people; none when nothing does. The last third of the samples
 * is held against the first. Counts grow when the least of the last is above the
 * most of the first; memory, which goes up and down, by the medians.
 */
export function growthOf(samples: readonly Usage[]): string[] {
  if (samples.length < LEAST_SAMPLES) return [];
  const third = Math.floor(samples.length / 3);
  const [first, last] = [samples.slice(0, third), samples.slice(-third)];
  const counts = (["descriptors", "threads"] as const).flatMap((name) => {
    const most = Math.max(...first.map((usage) => usage[name]));
    const least = Math.min(...last.map((usage) => usage[name]));
    return least > most + SLACK
      ? [`${name}: ${most} at most at first, ${least} at least at last`]
      : [];
  });
  const [before, after] = [first, last].map((part) =>
    median(part.map(({ memoryMb }) => memoryMb))
  ) as [number, number];
  return after > before * MEMORY_FACTOR + MEMORY_SLACK_MB
    ? [
      ...counts,
      `memory: ${before.toFixed(1)} MB at first, ${after.toFixed(1)} at last`,
    ]
    : counts;
}
