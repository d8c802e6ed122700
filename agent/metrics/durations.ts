/**
 * How long something took, in a histogram.
 *
 * @module
 */

import type { Sample } from "./metric.ts";

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** Not cumulative; the last one is beyond all bounds. */
  readonly counts: number[];
  sum: number;
}

/** Series with the same bounds, one for each set of labels. */
export class Durations {
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  /** @param bounds Seconds, ascending. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
  }

  observe(labels: Readonly<Record<string, string>>, seconds: number): void {
    const key = JSON.stringify(labels);
    let series = this.#series.get(key);
    if (series === undefined) {
      const counts = new Array<number>(this.#bounds.length + 1).fill(0);
      series = { labels, counts, sum: 0 };
      this.#series.set(key, series);
    }
    const index = this.#bounds.findIndex((bound) => seconds <= bound);
    series.counts[index < 0 ? this.#bounds.length : index]!++;
    series.sum += seconds;
  }

  /** As Prometheus' histograms: cumulative buckets, sum and count. */
  samples(): Sample[] {
    return [...this.#series.values()].flatMap(({ labels, counts, sum }) => {
      let total = 0;
      const buckets = counts.map((count, index): Sample => {
        total += count;
        const le = boundText(this.#bounds[index]);
        return {
          labels: { ...labels, le },
          value: total,
          suffix: "_bucket",
        };
      });
      return [
        ...buckets,
        { labels, value: sum, suffix: "_sum" },
        { labels, value: total, suffix: "_count" },
      ];
    });
  }
}

/** OpenMetrics wants a point in every number. */
function boundText(bound: number | undefined): string {
  if (bound === undefined) return "+Inf";
  return Number.isInteger(bound) ? `${bound}.0` : String(bound);
}
