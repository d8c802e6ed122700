/**
 * Metrics as text: Prometheus 0.0.4 and OpenMetrics 1.0.0, written by prom-client.
 *
 * Loaded with the first scrape, so that a start does not pay for it.
 *
 * @module
 */

import {
  Counter,
  Gauge,
  Histogram,
  type HistogramConfiguration,
  type MetricType,
  type OpenMetricsContentType,
  Registry,
} from "prom-client";
import type { Family, Sample } from "./metric.ts";

/** A format; its content type names it. */
export type Format = "prometheus" | "openmetrics";

/** The content types. */
export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  prometheus: Registry.PROMETHEUS_CONTENT_TYPE,
  openmetrics: Registry.OPENMETRICS_CONTENT_TYPE,
};

/**
 * Writes all families, also those without samples. A registry is made for each text:
 * prom-client renames the counters of one that has written OpenMetrics.
 */
export async function expose(
  families: readonly Family[],
  format: Format,
): Promise<string> {
  const registry = new Registry();
  if (format === "openmetrics") {
    (registry as unknown as Registry<OpenMetricsContentType>)
      .setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  }
  for (const family of families) register(family, registry);
  return await registry.metrics();
}

function register(
  { metric, samples }: Family,
  registry: Registry,
): void {
  const { help, labels = {}, name, type } = metric;
  const labelNames = Object.keys(labels);
  // prom-client begins a metric without labels at 0, even if it is not known.
  const isLabelled = labelNames.length > 0;
  const options = { name, help, labelNames, registers: [registry] };
  if (type === "histogram") {
    new CountedHistogram(options, samples);
    return;
  }
  if (type === "gauge") {
    const gauge = new Gauge(options);
    if (!isLabelled) gauge.remove();
    for (const { labels = {}, value } of samples) gauge.set(labels, value);
    return;
  }
  const counter = new Counter(options);
  if (!isLabelled) counter.remove();
  for (const { labels = {}, value } of samples) counter.inc(labels, value);
}

/**
 * prom-client counts observations itself; these were counted before it was loaded.
 */
class CountedHistogram extends Histogram<string> {
  readonly #name: string;
  readonly #help: string;
  readonly #samples: readonly Sample[];

  constructor(
    options: HistogramConfiguration<string>,
    samples: readonly Sample[],
  ) {
    super(options);
    this.#name = options.name;
    this.#help = options.help;
    this.#samples = samples;
  }

  override get() {
    return Promise.resolve({
      name: this.#name,
      help: this.#help,
      // The declared type is a number; the code has these words.
      type: "histogram" as unknown as MetricType,
      aggregator: "sum" as const,
      collect: () => {},
      values: this.#samples.map(({ labels = {}, suffix = "", value }) => ({
        labels,
        metricName: `${this.#name}${suffix}`,
        value,
      })),
    });
  }

  /** What a registry asks of a histogram in place of `get`. */
  getForPromString() {
    return this.get();
  }
}
