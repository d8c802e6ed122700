/**
 * The agent's state for people.
 *
 * @module
 */

import type { StatusSnapshot } from "../agent/state.ts";

/** Several lines: one fact each, then peers, counters and what is wrong. */
export function renderStatus(status: StatusSnapshot): string {
  const lines = [
    fact("network", describeNetwork(status)),
    fact("state", describeState(status)),
    fact("lease", describeLease(status)),
    fact("underlay", describeUnderlay(status)),
    fact("overlay", describeOverlay(status)),
    fact("data path", describeDataPath(status)),
    fact("firewall", status.firewall ?? "-"),
    fact("files", describeFiles(status)),
    fact("etcd", `${status.etcdEndpoints.join(", ")}  ${status.etcdPrefix}`),
    fact("agent", `${status.version}, process ${status.pid}`),
    ...section("peers", status.peers.map(describePeer)),
    ...section("counters", describeCounters(status)),
    ...section(
      "warnings",
      status.warnings.map(({ severity, text, impairs, since }) =>
        `${severity}: ${text} (impairs: ${impairs}; since ${since})`
      ),
    ),
  ];
  // Some texts come from etcd: they must not talk to the terminal.
  return lines.map((line) => line.replaceAll(CONTROL, "?") + "\n").join("");
}

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f-\x9f]/g;

function fact(name: string, value: string): string {
  return `${name.padEnd(10)} ${value}`;
}

function section(title: string, rows: readonly string[]): string[] {
  return rows.length === 0
    ? []
    : [`${title} (${rows.length}):`, ...rows.map((row) => `  ${row}`)];
}

function describeNetwork(status: StatusSnapshot): string {
  return status.network === null
    ? "not known yet"
    : `${status.network}  this host ${status.subnet ?? "-"}`;
}

function describeState(status: StatusSnapshot): string {
  const words = [
    status.ready ? "ready" : "not ready",
    `${status.phase.replaceAll("-", " ")} since ${status.phaseSince}`,
  ];
  if (status.waitingFor !== null) words.push(`waiting: ${status.waitingFor}`);
  if (status.fromSavedState) words.push("serving from saved state");
  return words.join(", ");
}

function describeLease({ lease }: StatusSnapshot): string {
  if (lease === null) return "-";
  const words = [lease.subnet ?? "none", `${lease.state} since ${lease.since}`];
  if (lease.cause !== null) words.push(`because ${lease.cause}`);
  if (lease.expires !== null) words.push(`expires ${lease.expires}`);
  return words.join(", ");
}

function describeUnderlay({ underlay }: StatusSnapshot): string {
  if (underlay === null) return "-";
  const { address, publicIp } = underlay;
  const outside = publicIp === address ? "" : `, public ${publicIp}`;
  return `${underlay.interface} ${address}${outside}, MTU ${underlay.mtuBytes}`;
}

function describeOverlay({ overlay }: StatusSnapshot): string {
  return overlay === null
    ? "-"
    : `${overlay.device ?? "no device"}, MTU ${overlay.mtuBytes}`;
}

function describeDataPath(status: StatusSnapshot): string {
  const { backend, backendRestarts } = status;
  if (backend === null) return "down";
  const again = backendRestarts === 0
    ? ""
    : `, started anew ${backendRestarts} times`;
  return `${backend.type}, ${backend.dataPath} (${backend.reason})${again}`;
}

function describeFiles({ files }: StatusSnapshot): string {
  return files.length === 0
    ? "-"
    : files.map(({ path, written }) => written ? path : `${path} (NOT WRITTEN)`)
      .join(", ");
}

function describePeer(
  { subnet, publicIp, backendType, stale }: StatusSnapshot["peers"][number],
): string {
  const remark = stale ? "  stale: its key has vanished" : "";
  return `${subnet.padEnd(18)} ${publicIp.padEnd(15)} ${backendType}${remark}`;
}

/** What has never happened is left out; `--json` has it. */
function describeCounters({ backend }: StatusSnapshot): string[] {
  const counters = Object.entries(backend?.counters ?? {})
    .filter(([, value]) => value !== 0);
  const width = Math.max(0, ...counters.map(([name]) => name.length));
  return counters.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}
