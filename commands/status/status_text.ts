/**
 * The agent's state for people.
 *
 * @module
 */

import { isShown } from "../../agent/status/health.ts";
import type {
  StatusSnapshot,
  StatusWarning,
} from "../../agent/status/status_snapshot.ts";
import { describeNoBackend } from "../../agent/status/status_line.ts";
import { describeError } from "../../errors.ts";
import type { Terminal } from "../command.ts";
import { describeAge } from "./age.ts";
import { type Line, plain, renderLines } from "../terminal/lines.ts";
import { peerTable } from "./peer_table.ts";

/** What the text depends on beside the status. */
export interface StatusTextOptions {
  readonly nowMs: number;
  /** `undefined`: a file or a pipe. */
  readonly terminal?: Terminal | undefined;
  /** Fits the terminal's height: of the peers, only so many are listed. */
  readonly fitHeight?: boolean;
}

/**
 * One fact a line, then peers and counters, and at the end what is wrong and what
 * to do.
 */
export function renderStatus(
  status: StatusSnapshot,
  { fitHeight = false, nowMs, terminal }: StatusTextOptions,
): string {
  const columns = terminal?.columns ?? Infinity;
  const render = (most: number) =>
    renderLines([
      ...facts(status),
      ...peerTable(status.peers, nowMs, {
        columns,
        most,
        overlayMtuBytes: status.overlay?.mtuBytes,
      }),
      ...section("counters", describeCounters(status)),
      ...troubles(status, nowMs),
    ], terminal);
  if (!fitHeight || terminal === undefined) return render(Infinity);
  const rows = terminal.rows - render(0).split("\n").length;
  // A narrow terminal takes two lines and more for a peer, so try.
  for (let most = Math.max(0, rows); most > 0; most = Math.floor(most / 2)) {
    const text = render(most);
    if (text.split("\n").length <= terminal.rows) return text;
  }
  return render(0);
}

/** Why there is no status. */
export function renderFailure(
  failure: unknown,
  terminal: Terminal | undefined,
): string {
  const text = `error: ${describeError(failure)}`;
  return renderLines([{ text, indent: 2, paint: "red" }], terminal);
}

function facts(status: StatusSnapshot): Line[] {
  return [
    fact("network", describeNetwork(status)),
    fact("state", describeState(status)),
    fact("lease", describeLease(status)),
    fact("underlay", describeUnderlay(status)),
    fact("overlay", describeOverlay(status)),
    fact("data path", describeDataPath(status)),
    ...describeDetails(status),
    fact("probes", describeProbes(status)),
    fact("firewall", status.firewall ?? "-"),
    fact("docker", describeDocker(status)),
    fact("files", describeFiles(status)),
    fact("etcd", `${status.etcdEndpoints.join(", ")}  ${status.etcdPrefix}`),
    fact("agent", `${status.version}, process ${status.pid}`),
  ];
}

function fact(name: string, value: string): Line {
  return { text: `${name.padEnd(10)} ${value}`, indent: 11 };
}

function section(title: string, rows: readonly string[]): Line[] {
  return rows.length === 0 ? [] : [
    plain(`${title} (${rows.length}):`),
    ...rows.map((row) => ({ text: `  ${row}`, indent: 4 })),
  ];
}

/** The warnings that are shown, the worst last: nearest to the prompt. */
function troubles(status: StatusSnapshot, nowMs: number): Line[] {
  const shown = status.warnings.filter(isShown).toReversed();
  const lines = shown.flatMap((warning) =>
    describeWarning(warning, status, nowMs)
  );
  const { waitingFor } = status;
  const isSaid = shown.some(({ text }) => waitingFor?.includes(text));
  const waiting: Line[] = status.ready || waitingFor === null || isSaid
    ? []
    : [{ text: `not ready: waiting: ${waitingFor}`, indent: 2, paint: "red" }];
  if (lines.length + waiting.length === 0) return [plain("no warnings")];
  return [
    ...lines.length === 0 ? [] : [plain(`warnings (${shown.length}):`)],
    ...lines,
    ...waiting,
  ];
}

function describeWarning(
  { code, impairs, severity, since, text }: StatusWarning,
  { warnings }: StatusSnapshot,
  nowMs: number,
): Line[] {
  const follows = warnings.filter(({ dependsOn }) => dependsOn?.includes(code))
    .map((each) => each.code);
  return [
    {
      text: `  ${severity}: ${text}`,
      indent: 4,
      paint: severity === "error" ? "red" : "yellow",
    },
    {
      text: `    ${code} for ${describeAge(since, nowMs)}; impairs: ${impairs}`,
      indent: 6,
    },
    ...follows.length === 0
      ? []
      : [{ text: `    consequences: ${follows.join(", ")}`, indent: 6 }],
  ];
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
function describeDetails({ backend }: StatusSnapshot): Line[] {
  return Object.entries(backend?.details ?? {})
    .map(([name, value]) => fact("", `${name}: ${value}`));
}

/** An earlier agent does not say. */
function describeProbes({ probes }: Partial<StatusSnapshot>): string {
  if (probes === null || probes === undefined) return "off";
  const { address, failure, port, reachable, unknown, unreachable } = probes;
  const where = `UDP port ${port}`;
  if (address === null) return `${where}: ${failure ?? "not yet"}`;
  return `${where} on ${address}, hosts: ${reachable} reachable, ` +
    `${unreachable} unreachable, ${unknown} unknown`;
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

/** Counters that are 0 are omitted here; `--json` has them. */
function describeCounters({ backend }: StatusSnapshot): string[] {
  const counters = Object.entries(backend?.counters ?? {})
    .filter(([, value]) => value !== 0);
  const width = Math.max(0, ...counters.map(([name]) => name.length));
  return counters.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}
