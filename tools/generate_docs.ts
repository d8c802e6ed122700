/**
 * Brings the generated parts of `docs/configuration.md`, `docs/ebpf.md` and
 * `docs/metrics.md`, `docs/network-config.schema.json` and
 * `docs/status.schema.json` up to date with the flag table, the kernel's features,
 * the metrics and the schemas of the network config and of the status. With
 * `--check` nothing is written, and the exit code is 1 when something is stale.
 *
 *     deno run --allow-read=. --allow-write=docs tools/generate_docs.ts [--check]
 *
 * @module
 */

import { renderConfigurationParts } from "./docs/configuration_parts.ts";
import { renderDoctorSchema } from "./docs/doctor_json_schema.ts";
import { replaceParts } from "./docs/document_parts.ts";
import { renderKernelFeaturePart } from "./docs/kernel_feature_part.ts";
import { renderMetricsParts } from "./docs/metrics_parts.ts";
import { renderNetworkSchema } from "./docs/network_json_schema.ts";
import { renderStatusSchema } from "./docs/status_json_schema.ts";

const root = new URL("../", import.meta.url);

/** A file that is made, and what it must hold. */
interface Document {
  readonly path: string;
  readonly render: (current: string) => string;
}

const documents: readonly Document[] = [
  {
    path: "docs/configuration.md",
    render: (current) => replaceParts(current, renderConfigurationParts()),
  },
  {
    path: "docs/ebpf.md",
    render: (current) => replaceParts(current, renderKernelFeaturePart()),
  },
  {
    path: "docs/metrics.md",
    render: (current) => replaceParts(current, renderMetricsParts()),
  },
  {
    path: "docs/network-config.schema.json",
    render: () => renderNetworkSchema(),
  },
  {
    path: "docs/status.schema.json",
    render: () => renderStatusSchema(),
  },
  {
    path: "docs/doctor.schema.json",
    render: () => renderDoctorSchema(),
  },
];

/** @returns the paths that are not up to date. */
export function staleDocuments(): string[] {
  return documents
    .filter(({ path, render }) => {
      const current = readText(path);
      return render(current) !== current;
    })
    .map(({ path }) => path);
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(new URL(path, root));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

function writeDocuments(): void {
  for (const { path, render } of documents) {
    Deno.writeTextFileSync(new URL(path, root), render(readText(path)));
  }
}

if (import.meta.main) {
  if (Deno.args.includes("--check")) {
    const stale = staleDocuments();
    for (const path of stale) {
      console.error(`${path} is stale: run tools/generate_docs.ts`);
    }
    Deno.exitCode = stale.length === 0 ? 0 : 1;
  } else {
    writeDocuments();
  }
}
