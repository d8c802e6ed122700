/**
 * The peers, for people.
 *
 * @module
 */

import type { PeerStatus } from "../../agent/status/status_snapshot.ts";
import { describeAge } from "./age.ts";
import { type Line, plain } from "../terminal/lines.ts";

const HEADER = ["SUBNET", "HOST", "SINCE", "BACKEND", "PROBE", "CONFIRMED"];
const INDENT = "  ";

/**
 * A table, or where it does not fit, two lines for each peer.
 *
 * @param columns of the terminal; infinite if there is none.
 * @param most so many peers are listed.
 * @param overlayMtuBytes a path that lets less through is remarked on.
 */
export function peerTable(
  peers: readonly PeerStatus[],
  nowMs: number,
  { columns, most, overlayMtuBytes }: {
    readonly columns: number;
    readonly most: number;
    readonly overlayMtuBytes: number | undefined;
  },
): Line[] {
  if (peers.length === 0) return [];
  const rows = peers.slice(0, most).map((peer) =>
    cells(peer, nowMs, overlayMtuBytes)
  );
  const table = rows.length === 0 ? [] : align([HEADER, ...rows]);
  const fits = table.every((text) => text.length <= columns);
  const more = peers.length - rows.length;
  return [
    plain(`peers (${peers.length}):`),
    ...fits
      ? table.map((text, index) => row(text, index === 0 ? "dim" : undefined))
      : rows.flatMap(narrow),
    ...more === 0 ? [] : [row(`${INDENT}and ${more} more`, "dim")],
  ];
}

function cells(
  peer: PeerStatus,
  nowMs: number,
  overlayMtuBytes: number | undefined,
): string[] {
  const { backendType, confirmed, dataPath, publicIp, since, stale } = peer;
  const age = describeAge(confirmed, nowMs);
  return [
    peer.subnet,
    publicIp,
    describeAge(since, nowMs) ?? "-",
    dataPath === null ? backendType : `${backendType} (${dataPath})`,
    describeProbe(peer, nowMs, overlayMtuBytes),
    age === undefined ? "unknown" : `${age} ago`,
    ...stale ? ["stale: its key is gone"] : [],
  ];
}

/** An earlier agent does not say. */
function describeProbe(
  { probe }: Partial<Pick<PeerStatus, "probe">>,
  nowMs: number,
  overlayMtuBytes = 0,
): string {
  if (probe === null || probe === undefined) return "-";
  const { lossRatio, mtuBytes, rttMs, state, way } = probe;
  if (state !== "reachable") {
    const age = describeAge(probe.lastAnswer, nowMs);
    return age === undefined ? state : `${state}, answered ${age} ago`;
  }
  const lost = Math.round((lossRatio ?? 0) * 100);
  return [
    `${(rttMs ?? 0).toFixed(1)} ms`,
    ...way === "icmp" ? ["ICMP"] : [],
    ...lost === 0 ? [] : [`${lost} % lost`],
    ...mtuBytes === null || mtuBytes >= overlayMtuBytes
      ? []
      : [`MTU ${mtuBytes}`],
  ].join(", ");
}

function align(rows: readonly (readonly string[])[]): string[] {
  const widths = HEADER.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  );
  return rows.map((row) =>
    INDENT +
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")
      .trimEnd()
  );
}

function narrow(
  [subnet, host, since, backend, probe, confirmed, ...remarks]: string[],
): Line[] {
  const facts = [
    backend,
    `since ${since}`,
    `probe ${probe}`,
    `confirmed ${confirmed}`,
  ];
  return [
    row(`${INDENT}${subnet}  ${host}`),
    { text: `${INDENT}  ${[...facts, ...remarks].join(", ")}`, indent: 4 },
  ];
}

function row(text: string, paint?: Line["paint"]): Line {
  return { text, indent: 4, ...paint === undefined ? {} : { paint } };
}
