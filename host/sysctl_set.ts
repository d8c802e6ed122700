/**
 * Corrects kernel settings, with `--set-sysctls`.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { SysctlFinding } from "./sysctl_check.ts";

const log = getLogger(["loden", "host"]);

/** Writes a file in /proc/sys. @throws if it cannot be written. */
export type SysctlWriter = (path: string, value: string) => void;

/**
 * Sets each finding that Loden may set, and logs each success and failure. The
 * caller checks again to see what is left.
 */
export function setSysctls(
  findings: readonly SysctlFinding[],
  write: SysctlWriter = writeProcSys,
): void {
  for (const { name, path, value, wanted, fix, isOurs } of findings) {
    if (!isOurs) continue;
    try {
      write(path, wanted);
    } catch (error) {
      // Read-only in a container, or the device has just disappeared.
      if (!(error instanceof Error && "code" in error)) throw error;
      log.warn("kernel setting cannot be set", {
        event: "host.sysctl-failed",
        setting: name,
        fix,
        error,
      });
      continue;
    }
    log.info("kernel setting set", {
      event: "host.sysctl-set",
      setting: name,
      from: value,
      to: wanted,
    });
  }
}

function writeProcSys(path: string, value: string): void {
  Deno.writeTextFileSync(`/proc/sys/${path}`, value, { create: false });
}
