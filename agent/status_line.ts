/**
 * The agent's state in one line, as `systemctl status` shows it.
 *
 * @module
 */

import type { StatusSnapshot } from "./state.ts";

/** One line, without a newline (which would end sd_notify's STATUS field). */
export function describeStatus(snapshot: StatusSnapshot): string {
  return oneLine(sentence(snapshot));
}

function sentence(snapshot: StatusSnapshot): string {
  const { phase, waitingFor } = snapshot;
  if (phase === "stopping" || phase === "stopped") return phase;
  if (!snapshot.ready) {
    const step = phase.replaceAll("-", " ");
    return waitingFor === null ? step : `${step}: waiting: ${waitingFor}`;
  }
  const subnet = snapshot.lease?.subnet ?? "no subnet";
  const peers = snapshot.peers.length;
  const serving = `${subnet}, ${peers} ${peers === 1 ? "peer" : "peers"}`;
  const path = snapshot.backend === null
    ? "data path down"
    : `${snapshot.backend.type} (${snapshot.backend.dataPath})`;
  const remarks = [
    ...(snapshot.fromSavedState ? [`etcd away, serving from saved state`] : []),
    ...snapshot.warnings.map(({ text }) => text),
  ];
  return [`${serving}, ${path}`, ...remarks].join("; ");
}

function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replaceAll(/[\x00-\x1f\x7f]+/g, " ").slice(0, 1_000);
}
