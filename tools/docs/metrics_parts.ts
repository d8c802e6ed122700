/**
 * The generated part of `docs/metrics.md`.
 *
 * @module
 */

import { CATALOGUE } from "../../agent/metrics/catalogue.ts";
import type { Metric } from "../../agent/metrics/metric.ts";
import { code, markdownTable } from "./markdown_table.ts";

/** More values than this are not listed in a cell. */
const LISTED_VALUES = 12;

/** Each part by its name in the document. */
export function renderMetricsParts(): Record<string, string> {
  const metrics: readonly Metric[] = CATALOGUE;
  return {
    metrics: markdownTable(
      ["metric", "type", "labels", "meaning"],
      metrics.map((metric) => [
        code(metric.name),
        metric.type,
        describeLabels(metric),
        describe(metric),
      ]),
    ),
  };
}

function describe({ help, isPerPeer, otel }: Metric): string {
  return help + (isPerPeer ? " With `--metrics-peers`." : "") +
    (otel === undefined ? "" : ` OpenTelemetry: ${code(otel)}.`);
}

function describeLabels({ labels = {} }: Metric): string {
  return Object.entries(labels).map(([name, values]) => {
    if (typeof values === "string") return `${code(name)}: ${values}`;
    if (values.length > LISTED_VALUES) return code(name);
    return `${code(name)}: ${values.map(code).join(", ")}`;
  }).join("; ");
}
