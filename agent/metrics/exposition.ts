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
  for (const { metric: { help, name, type }, samples } of families) {
    // OpenMetrics names a counter without its suffix, and its samples with it.
    const family = format === "openmetrics" && type === "counter"
      ? name.replace(/_total$/, "")
      : name;
    text += `# HELP ${family} ${escapeText(help)}\n`;
    text += `# TYPE ${family} ${type}\n`;
    for (const sample of samples) text += line(name, sample);
  }
  return format === "openmetrics" ? `${text}# EOF\n` : text;
}

function line(name: string, { labels = {}, suffix = "", value }: Sample) {
  let words = "";
  for (const label in labels) {
    const comma = words === "" ? "" : ",";
    words += `${comma}${label}="${escapeLabel(labels[label]!)}"`;
  }
  const set = words === "" ? "" : `{${words}}`;
  return `${name}${suffix}${set} ${value}\n`;
}

function escapeText(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  // There are thousands of them, and hardly one needs it.
  return /[\\"\n]/.test(text) ? escapeText(text).replaceAll('"', '\\"') : text;
}
