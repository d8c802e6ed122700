/**
 * The agent's state for people.
 *
 * @module
 */

import type { StatusSnapshot } from "../agent/status/state.ts";
import { describeNoBackend } from "../agent/status/status_line.ts";
import { systemClock } from "../linux/clock.ts";
import { withoutControls } from "./terminal_text.ts";

/** Several lines: one fact each, then peers, counters and warnings. */
export function renderStatus(
  status: StatusSnapshot,
  nowMs: number = systemClock.now(),
): string {
  const lines = [
    fact("network", describeNetwork(status)),
    fact("state", describeState(status)),
    fact("lease", describeLease(status)),
    fact("underlay", describeUnderlay(status)),
    fact("overlay", describeOverlay(status)),
    fact("data path", describeDataPath(status)),
    ...describeDetails(status),
    fact("firewall", status.firewall ?? "-"),
    fact("docker", describeDocker(status)),
    fact("files", describeFiles(status)),
    fact("etcd", `${status.etcdEndpoints.join(", ")}  ${status.etcdPrefix}`),
    fact("agent", `${status.version}, process ${status.pid}`),
    ...section("peers", status.peers.map((peer) => describePeer(peer, nowMs))),
    ...section("counters", describeCounters(status)),
    ...section(
      "warnings",
      status.warnings.map(({ severity, text, impairs, since }) =>
        `${severity}: ${text} (impairs: ${impairs}; since ${since})`
      ),
    ),
  ];
  // Some texts come from etcd and must not control the terminal.
  return lines.map((line) => withoutControls(line) + "\n").join("");
}

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
  const again = backendRestarts === 0
    ? ""
    : `, restarted ${backendRestarts} times`;
  if (backend === null) {
    const isBefore = !status.ready && backendRestarts === 0;
    return isBefore
      ? "not started yet"
      : `${describeNoBackend(status)}${again}`;
  }
  return `${backend.type}, ${backend.dataPath} (${backend.reason})${again}`;
}

/** The lines that continue the data path's line, indented. */
function describeDetails({ backend }: StatusSnapshot): string[] {
  return Object.entries(backend?.details ?? {})
    .map(([name, value]) => fact("", `${name}: ${value}`));
}

function describeDocker({ docker }: StatusSnapshot): string {
  if (docker === null) return "not running";
  const { version, bridge, firewall } = docker;
  const words = [
    version ?? "does not answer",
    bridge === null ? "no bridge on the lease" : `${bridge} on the lease`,
  ];
  if (firewall !== null) words.push(`rules by ${firewall}`);
  return words.join(", ");
}

function describeFiles({ files }: StatusSnapshot): string {
  return files.length === 0
    ? "-"
    : files.map(({ path, written }) => written ? path : `${path} (NOT WRITTEN)`)
      .join(", ");
}

function describePeer(
  peer: StatusSnapshot["peers"][number],
  nowMs: number,
): string {
  const { subnet, publicIp, backendType, dataPath, stale, confirmed } = peer;
  const kind = dataPath === null ? backendType : `${backendType} (${dataPath})`;
  const remark = stale ? "  stale: its key is gone" : "";
  const age = describeAge(confirmed, nowMs);
  return `${subnet.padEnd(18)} ${publicIp.padEnd(15)} ${kind}, ${age}${remark}`;
}

/** An agent of an earlier version does not say when etcd confirmed a peer. */
function describeAge(
  confirmed: string | null | undefined,
  nowMs: number,
): string {
  if (confirmed === null || confirmed === undefined) return "age unknown";
  const seconds = Math.max(
    0,
    Math.round((nowMs - Date.parse(confirmed)) / 1e3),
  );
  const [count, unit] = seconds < 120
    ? [seconds, "s"]
    : seconds < 7_200
    ? [Math.floor(seconds / 60), "min"]
    : [Math.floor(seconds / 3_600), "h"];
  return `confirmed ${count} ${unit} ago`;
}

/** Counters that are 0 are omitted here; `--json` has them. */
function describeCounters({ backend }: StatusSnapshot): string[] {
  const counters = Object.entries(backend?.counters ?? {})
    .filter(([, value]) => value !== 0);
  const width = Math.max(0, ...counters.map(([name]) => name.length));
  return counters.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}
