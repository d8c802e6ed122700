/**
 * The generated part of `docs/ebpf.md`.
 *
 * @module
 */

import { KERNEL_FEATURES } from "../../backend/udp/ebpf/kernel_features.ts";
import { markdownTable } from "./markdown_table.ts";

/** The part by its name in the document. */
export function renderKernelFeaturePart(): Record<string, string> {
  return {
    "kernel-features": markdownTable(
      ["feature", "since Linux", "used for", "without it"],
      KERNEL_FEATURES.map((
        { gives, isRequired, name, since, without },
      ) => [name, since, gives, isRequired ? "no `ebpf`" : without]),
    ),
  };
}
