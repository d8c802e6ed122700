/**
 * Setting what is wrong, where the operator has asked for it (`--set-sysctls`).
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { SysctlFinding } from "./sysctl_check.ts";

const log = getLogger(["loden", "host"]);

/** Writes a file of /proc/sys. @throws when it cannot be written. */
export type SysctlWriter = (path: string, value: string) => void;

/**
 * Sets each finding that is Loden's to set; each success and each failure is
 * logged. The caller looks again, and sees what is left.
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
      // Read-only in a container, or the device has just gone.
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
