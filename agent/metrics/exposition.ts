/**
 * Metrics as text: Prometheus 0.0.4 and OpenMetrics 1.0.0.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * @module
 */

import type { Family, Sample } from "./metric.ts";

/** A format; its content type names it. */
export type Format = "prometheus" | "openmetrics";

/** The content types. */
export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** Writes all families, also those without samples. */
export function expose(families: readonly Family[], format: Format): string {
  let text = "";
  // Metrics of a peer share its labels, and there may be thousands of peers.
  const written = new Map<Sample["labels"], string>();
  for (const { metric: { help, name, type }, samples } of families) {
    // OpenMetrics names a counter without its suffix, and its samples with it.
    const family = format === "openmetrics" && type === "counter"
      ? name.replace(/_total$/, "")
      : name;
    text += `# HELP ${family} ${escapeText(help)}\n`;
    text += `# TYPE ${family} ${type}\n`;
    for (const { labels, suffix = "", value } of samples) {
      let set = written.get(labels);
      if (set === undefined) written.set(labels, set = labelSet(labels));
      text += `${name}${suffix}${set} ${value}\n`;
    }
  }
  return format === "openmetrics" ? `${text}# EOF\n` : text;
}

function labelSet(labels: Sample["labels"]): string {
  const words = Object.entries(labels ?? {}).map(([label, value]) =>
    `${label}="${escapeLabel(value)}"`
  );
  return words.length === 0 ? "" : `{${words.join()}}`;
}

function escapeText(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  // There are thousands of them, and hardly one needs it.
  return /[\\"\n]/.test(text) ? escapeText(text).replaceAll('"', '\\"') : text;
}
