/**
 * Whether expressions for Prometheus name what the agent has.
 *
 * @module
 */

import { CATALOGUE } from "../../agent/metrics/catalogue.ts";
import type { Metric } from "../../agent/metrics/metric.ts";

/** Labels that Prometheus adds to every series. */
export const ADDED_LABELS: readonly string[] = ["job", "instance"];

/** A series in an expression: its name, and what selects it. */
export const SERIES_NAME = /\b((?:loden|process)_\w+)(?:\{([^}]*)\})?/g;

/** The metric of a series' name: those of a histogram have suffixes. */
export function metricOf(name: string): Metric | undefined {
  const metrics: readonly Metric[] = CATALOGUE;
  return metrics.find((metric) =>
    metric.name === name ||
    (metric.type === "histogram" &&
      ["_bucket", "_sum", "_count"].some((end) => metric.name + end === name))
  );
}

/** What an expression has that the agent does not. */
export function unknownIn(expr: string): string[] {
  return [...expr.matchAll(SERIES_NAME)].flatMap(([, name, selectors = ""]) => {
    const metric = metricOf(name!);
    if (metric === undefined) return [name!];
    return [...selectors.matchAll(/(\w+)(=~|!=|!~|=)"([^"]*)"/g)]
      .flatMap(([, label, , value]) => {
        if (ADDED_LABELS.includes(label!)) return [];
        const words = metric.labels?.[label!];
        if (words === undefined) return [`${name}{${label}}`];
        if (typeof words === "string") return [];
        return value!.split("|").filter((word) => !words.includes(word))
          .map((word) => `${name}{${label}="${word}"}`);
      });
  });
}
