/**
 * What looks wrong about the underlay, in status and log.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { UnderlayWarning } from "../../host/underlay_warnings.ts";
import type { AgentState } from "../status/state.ts";

const log = getLogger(["loden", "agent"]);

const CODES: readonly UnderlayWarning["code"][] = [
  "underlay.shared-address",
  "underlay.public-ip-elsewhere",
  "underlay.address-twice",
];

/** Raises these warnings, each with a log line when it is news, and no others. */
export function reportUnderlayWarnings(
  warnings: readonly UnderlayWarning[],
  state: AgentState,
): void {
  for (const code of CODES) {
    if (!warnings.some((warning) => warning.code === code)) state.clear(code);
  }
  for (const { code, text, fix } of warnings) {
    if (!state.raise(code, `${text}: ${fix}`)) continue;
    log.warn("underlay looks wrong", {
      event: "underlay.warning",
      code,
      reason: text,
      fix,
    });
  }
}
