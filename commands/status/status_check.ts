/**
 * `loden status --check`: one line and an exit code, for programs.
 *
 * @module
 */

import { AgentNotRunningError, AgentSilentError } from "../../agent/errors.ts";
import {
  isShown,
  type WarningDefinition,
  warningDefinitions,
} from "../../agent/status/health.ts";
import type {
  StatusSnapshot,
  StatusWarning,
} from "../../agent/status/status_snapshot.ts";
import { describeStatus } from "../../agent/status/status_line.ts";
import { describeError } from "../../errors.ts";
import { withoutControls } from "../terminal/controls.ts";

/**
 * - `live`: fails for what a restart may cure, as `/healthz` does.
 * - `ready`: fails until READY, and for what fails `/healthz` or `/readyz`.
 * - `nagios`: the codes and the line of a monitoring plugin.
 */
export type CheckName = "live" | "ready" | "nagios";

/** What a check says. */
export interface CheckResult {
  readonly code: number;
  /** Without LF. */
  readonly line: string;
}

/** What was seen of the agent: its state, or why there is none. */
export type Sight =
  | { readonly status: StatusSnapshot }
  | { readonly failure: unknown };

/** https://nagios-plugins.org/doc/guidelines.html, "Plugin Return Codes". */
const NAGIOS = ["OK", "WARNING", "CRITICAL", "UNKNOWN"] as const;

export function check(name: CheckName, sight: Sight): CheckResult {
  const { code, line } = name === "nagios"
    ? checkForNagios(sight)
    : checkByYesOrNo(name, sight);
  return { code, line: withoutControls(line) };
}

function checkByYesOrNo(name: "live" | "ready", sight: Sight): CheckResult {
  const why = "failure" in sight
    ? describeError(sight.failure)
    : name === "live"
    ? textsOf(sight.status, ({ restartMayCure }) => restartMayCure)
    : whyNotReady(sight.status);
  if (why !== undefined) return { code: 1, line: `not ${name}: ${why}` };
  const { status } = sight as { status: StatusSnapshot };
  return { code: 0, line: `${name}: ${describe(status)}` };
}

/** What keeps the network from being up, in the words of STATUS and the warnings. */
export function whyNotReady(status: StatusSnapshot): string | undefined {
  return status.ready
    ? textsOf(
      status,
      ({ impairsReadiness, restartMayCure }) =>
        impairsReadiness || restartMayCure,
    )
    : describe(status);
}

/** A later version may have warnings that this one does not know. */
function textsOf(
  { warnings }: StatusSnapshot,
  counts: (definition: WarningDefinition) => boolean,
): string | undefined {
  const found = warnings.filter(({ code }: StatusWarning) =>
    code in warningDefinitions && counts(warningDefinitions[code])
  );
  return found.length === 0
    ? undefined
    : found.map(({ text }) => text).join("; ");
}

function checkForNagios(sight: Sight): CheckResult {
  const [code, text] = "failure" in sight
    ? [isAbsent(sight.failure) ? 2 : 3, describeError(sight.failure)]
    : [gravity(sight.status), describe(sight.status)];
  // A bar would begin the performance data.
  const line = `LODEN ${NAGIOS[code]} - ${text!.replaceAll("|", "/")}`;
  return { code, line };
}

function gravity({ ready, warnings }: StatusSnapshot): 0 | 1 | 2 {
  const shown = warnings.filter(isShown);
  if (!ready || shown.some(({ severity }) => severity === "error")) return 2;
  return shown.length > 0 ? 1 : 0;
}

/** Whether an agent may still come; other failures stay. */
export function isAbsent(failure: unknown): boolean {
  return failure instanceof AgentNotRunningError ||
    failure instanceof AgentSilentError;
}

function describe(status: StatusSnapshot): string {
  return describeStatus({ ...status, peerCount: status.peers.length });
}
