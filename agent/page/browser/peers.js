// The peers as a list: found, ordered, and what is said of each.

import { age, roundTrip } from "./text.js";

/** IPv4 as a number; NaN if it is none. */
export function ipv4(text) {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return NaN;
  const bytes = match.slice(1).map(Number);
  return bytes.some((byte) => byte > 255)
    ? NaN
    : bytes.reduce((number, byte) => number * 256 + byte, 0);
}

function holds(subnet, address) {
  const [base, length] = String(subnet).split("/");
  const size = 2 ** (32 - Number(length));
  return Math.floor(ipv4(base) / size) === Math.floor(address / size);
}

/** What the columns show, as text. */
export function cellsOf(peer, nowMs) {
  const since = age(peer.since, nowMs);
  const confirmed = age(peer.confirmed, nowMs);
  return {
    subnet: String(peer.subnet),
    host: String(peer.publicIp),
    reach: describeReach(peer, nowMs),
    since: since ?? "–",
    path: peer.dataPath === null || peer.dataPath === undefined
      ? String(peer.backendType)
      : `${peer.backendType} (${peer.dataPath})`,
    confirmed: (confirmed === undefined ? "unknown" : `${confirmed} ago`) +
      (peer.stale ? ", its key is gone" : ""),
  };
}

/** The loss is that of so many probes at most. */
const REMEMBERED = 32;
/** Between two probes of a peer: at least so long, and longer with many peers. */
const PROBE_PAUSE_MS = 10_000;
const PAUSE_MS_PER_PEER = 250;
/** One may be lost by chance, or because the other host has just started. */
const TOLERATED_LOSSES = 1.5;

/**
 * The peers of a status, each with what is wrong with its path: whether it loses
 * probes, and whether it is narrower than the overlay.
 *
 * @param {any} status
 * @returns {any[]}
 */
export function peersOf({ overlay, peers, time }) {
  const pauseMs = Math.max(PROBE_PAUSE_MS, PAUSE_MS_PER_PEER * peers.length);
  return peers.map((peer) => {
    const { lossRatio, mtuBytes, since } = peer.probe ?? {};
    const passedMs = Date.parse(time) - Date.parse(since);
    const probes = Math.min(REMEMBERED, 1 + passedMs / pauseMs);
    return {
      ...peer,
      isLossy: lossRatio * probes > TOLERATED_LOSSES,
      isNarrow: (mtuBytes ?? Infinity) < (overlay?.mtuBytes ?? 0),
    };
  });
}

/**
 * `reached`, `trouble`, `silent` or `unknown`.
 *
 * @param {any} peer
 */
export function reachOf(peer) {
  const { isLossy, isNarrow, probe } = peer;
  switch (probe?.state) {
    case "reachable":
      return isLossy || isNarrow ? "trouble" : "reached";
    case "unreachable":
      return "silent";
    default:
      return "unknown";
  }
}

function describeReach({ isLossy, isNarrow, probe }, nowMs) {
  switch (probe?.state) {
    case "reachable":
      return [
        probe.rttMs === null ? "reached" : roundTrip(probe.rttMs),
        ...isLossy ? [`${Math.round(probe.lossRatio * 100)} % lost`] : [],
        ...isNarrow ? [`at most ${probe.mtuBytes} bytes`] : [],
      ].join(", ");
    case "unreachable":
      return `not reached for ${age(probe.since, nowMs)}`;
    case "unknown":
      return probe.lossRatio > 0 ? "no answer yet" : "not measured yet";
    default:
      return "not measured";
  }
}

export function hasTrouble(peer) {
  return peer.stale || ["silent", "trouble"].includes(reachOf(peer));
}

/** Every word must occur in a column; a whole address finds its subnet. */
export function matches(peer, query, nowMs) {
  const words = query.toLowerCase().split(/\s+/).filter((word) => word !== "");
  if (words.length === 0) return true;
  const text = Object.values(cellsOf(peer, nowMs)).join("\n").toLowerCase();
  return words.every((word) =>
    text.includes(word) || holds(peer.subnet, ipv4(word))
  );
}

const REACH_ORDER = ["silent", "trouble", "unknown", "reached"];

/** By what a column is ordered; the smaller is the first. */
const KEYS = {
  subnet: ({ subnet }) => ipv4(String(subnet).split("/")[0]),
  host: ({ publicIp }) => ipv4(publicIp),
  reach: (peer) =>
    REACH_ORDER.indexOf(reachOf(peer)) * 1e6 + (peer.probe?.rttMs ?? 0),
  since: ({ since }) => -Date.parse(since),
  path: ({ backendType, dataPath }) => `${backendType} ${dataPath ?? ""}`,
  confirmed: ({ confirmed }) => -Date.parse(confirmed),
};

/**
 * What is unknown is last, and equals are in the order of their subnets.
 *
 * @param {any[]} peers
 * @param {string} column
 * @param {boolean} descending
 * @returns {any[]}
 */
export function ordered(peers, column, descending) {
  const key = KEYS[column];
  const sign = descending ? -1 : 1;
  return peers.map((peer) => [key(peer), KEYS.subnet(peer), peer])
    .sort(([a, aSubnet], [b, bSubnet]) => {
      const [noA, noB] = [Number.isNaN(a), Number.isNaN(b)];
      if (noA !== noB) return noA ? 1 : -1;
      if (a !== b && !noA) return a < b ? -sign : sign;
      return aSubnet - bSubnet;
    })
    .map(([, , peer]) => peer);
}

/** How many peers are in each state. */
export function reachCounts(peers) {
  const counts = { reached: 0, trouble: 0, silent: 0, unknown: 0 };
  for (const peer of peers) counts[reachOf(peer)] += 1;
  return counts;
}
