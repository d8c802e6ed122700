/**
 * The agent's state in one line, as `systemctl status` shows it.
 *
 * @module
 */

import { isShown } from "./health.ts";
import type { StatusSummary } from "./status_snapshot.ts";

/** One line, without a newline (which would end sd_notify's STATUS field). */
export function describeStatus(status: StatusSummary): string {
  return oneLine(sentence(status));
}

function sentence(status: StatusSummary): string {
  const { phase, waitingFor } = status;
  if (phase === "stopping" || phase === "stopped") return phase;
  if (!status.ready) {
    const step = phase.replaceAll("-", " ");
    return waitingFor === null ? step : `${step}: waiting: ${waitingFor}`;
  }
  const subnet = status.subnet ?? "no subnet";
  const peers = status.peerCount;
  const serving = `${subnet}, ${peers} ${peers === 1 ? "peer" : "peers"}`;
  const path = status.backend === null
    ? `data path ${describeNoBackend(status)}`
    : `${status.backend.type} (${status.backend.dataPath})`;
  const remarks = [
    ...(status.fromSavedState ? ["serving from saved state"] : []),
    ...status.warnings.filter(isShown).map(({ text }) => text),
  ];
  return [`${serving}, ${path}`, ...remarks].join("; ");
}

/** Describes a data path without a running part in the agent. */
export function describeNoBackend(
  { warnings }: Pick<StatusSummary, "warnings">,
): string {
  const flowsOn = warnings.some(({ code }) => code === "data-path.unattended");
  return flowsOn ? "in the kernel alone" : "down";
}

function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replaceAll(/[\x00-\x1f\x7f]+/g, " ").slice(0, 1_000);
}
