/**
 * The WireGuard peers that the leases want, and the difference from those that
 * the device has. Pure functions.
 *
 * @module
 */

import { equals } from "@std/bytes/equals";
import type {
  WireguardDevice,
  WireguardEndpoint,
  WireguardPeer,
  WireguardPeerChange,
} from "../../linux/netlink/wireguard.ts";
import type { NewRoute } from "../../linux/netlink/rtnetlink.ts";
import { formatCidr } from "../../net/cidr.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import type { Peer } from "../../net/peer.ts";
import type { RefusedPeer } from "../kernel_backend.ts";
import {
  parseWireguardKey,
  type WireguardOptions,
} from "./wireguard_options.ts";

/** A peer of the network, and its entry in the device. */
export interface WantedPeer {
  readonly peer: Peer;
  readonly entry: Required<WireguardPeerChange> & {
    readonly endpoint: WireguardEndpoint;
  };
}

/** The peers that can be served, and the others. */
export interface WantedPeers {
  readonly wanted: readonly WantedPeer[];
  readonly refused: readonly RefusedPeer[];
}

/**
 * WireGuard renews its keys after two minutes and gives them up after three
 * (`REJECT_AFTER_TIME`): a later packet has no session to belong to.
 */
export const SESSION_MS = 180_000;
/** Of a value that is shown. */
const SHOWN_CHARACTERS = 60;
const NO_KEY = new Uint8Array(32);

/** Reads the leases. @param ownKey this host's public key. */
export function readPeers(
  peers: readonly Peer[],
  ownKey: string,
  options: WireguardOptions,
): WantedPeers {
  const wanted: WantedPeer[] = [];
  const refused: RefusedPeer[] = [];
  const holders = new Map([[ownKey, "this host"]]);
  for (const peer of peers) {
    const read = readBackendData(peer, options.port);
    if (typeof read === "string") {
      refused.push({ peer, reason: read });
      continue;
    }
    const { port, publicKey } = read;
    const holder = holders.get(publicKey);
    if (holder !== undefined) {
      const reason =
        `the lease's PublicKey must be its host's alone: ${holder} ` +
        "has it, too";
      refused.push({ peer, reason });
      continue;
    }
    holders.set(publicKey, formatCidr(peer.subnet));
    wanted.push({
      peer,
      entry: {
        publicKey,
        presharedKey: options.presharedKey ?? NO_KEY,
        endpoint: { address: peer.publicIp, port },
        keepaliveSeconds: options.keepaliveSeconds,
        allowedIps: [peer.subnet],
      },
    });
  }
  return { wanted, refused };
}

/**
 * flannel writes `{"PublicKey":"…","Port":51820}`; earlier versions had no port and
 * took their own. Field names are matched without regard to case, as Go does.
 */
function readBackendData(
  { backendData }: Peer,
  ownPort: number,
): { publicKey: string; port: number } | string {
  const fields = typeof backendData === "object" && backendData !== null
    ? Object.entries(backendData)
    : [];
  const field = (name: string) =>
    fields.find(([key]) => key.toLowerCase() === name)?.[1];
  const publicKey = field("publickey");
  const bytes = typeof publicKey === "string"
    ? parseWireguardKey(publicKey)
    : undefined;
  if (bytes === undefined || bytes.every((byte) => byte === 0)) {
    return wrong("a PublicKey of 32 bytes in base64", publicKey);
  }
  const port = field("port") ?? ownPort;
  if (
    typeof port !== "number" || !Number.isInteger(port) || port < 1 ||
    port > 65_535
  ) return wrong("a Port from 1 to 65535", port);
  // As the kernel's answers are written, whatever the lease's spelling.
  return { publicKey: bytes.toBase64(), port };
}

function wrong(rule: string, value: unknown): string {
  const text = JSON.stringify(value) ?? "none";
  const shown = text.length > SHOWN_CHARACTERS
    ? `${text.slice(0, SHOWN_CHARACTERS)}…`
    : text;
  return `the lease's BackendData must have ${rule}: current value is ${shown}`;
}

/** What is known in addition to the device's state. */
export interface PeerPlanContext {
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** The endpoint that each peer was given last, by its public key. */
  readonly given: ReadonlyMap<string, WireguardEndpoint>;
}

/** What must change, as `Wireguard.change` takes it. */
export interface PeerChanges {
  readonly removePeers: readonly string[];
  readonly putPeers: readonly WireguardPeerChange[];
}

/** Peers of no lease go; what is right already is not named. */
export function planPeers(
  wanted: readonly WantedPeer[],
  { peers }: Pick<WireguardDevice, "peers">,
  context: PeerPlanContext,
): PeerChanges {
  const present = new Map(peers.map((peer) => [peer.publicKey, peer]));
  const keys = new Set(wanted.map(({ entry }) => entry.publicKey));
  const putPeers: WireguardPeerChange[] = [];
  for (const { entry } of wanted) {
    const actual = present.get(entry.publicKey);
    const change = actual === undefined
      ? entry
      : differenceOf(entry, actual, context);
    if (change !== undefined) putPeers.push(change);
  }
  return {
    removePeers: peers.filter(({ publicKey }) => !keys.has(publicKey))
      .map(({ publicKey }) => publicKey),
    putPeers,
  };
}

function differenceOf(
  entry: WantedPeer["entry"],
  actual: WireguardPeer,
  context: PeerPlanContext,
): WireguardPeerChange | undefined {
  const { allowedIps, endpoint, keepaliveSeconds, presharedKey } = entry;
  const change: WireguardPeerChange = {
    publicKey: entry.publicKey,
    ...equals(presharedKey, actual.presharedKey ?? NO_KEY)
      ? {}
      : { presharedKey },
    ...isLost(endpoint, actual, context) ? { endpoint } : {},
    ...keepaliveSeconds === actual.keepaliveSeconds ? {} : { keepaliveSeconds },
    ...hasAddresses(actual, allowedIps) ? {} : { allowedIps },
  };
  return Object.keys(change).length > 1 ? change : undefined;
}

/**
 * The kernel follows a peer whose packets come from elsewhere, such as through a
 * NAT. That address is better than the lease's for as long as the peer uses it.
 */
function isLost(
  wanted: WireguardEndpoint,
  { endpoint, lastHandshakeMs, publicKey }: WireguardPeer,
  { given, nowMs }: PeerPlanContext,
): boolean {
  if (endpoint !== undefined && isSameEndpoint(endpoint, wanted)) return false;
  const before = given.get(publicKey);
  const hasMoved = before !== undefined && !isSameEndpoint(before, wanted);
  return hasMoved || nowMs - lastHandshakeMs > SESSION_MS;
}

function isSameEndpoint(a: WireguardEndpoint, b: WireguardEndpoint): boolean {
  return a.address === b.address && a.port === b.port;
}

function hasAddresses(
  { allowedIps, allowedIpv6 }: WireguardPeer,
  wanted: WantedPeer["entry"]["allowedIps"],
): boolean {
  const present = new Set(allowedIps.map(formatCidr));
  return allowedIpv6 === 0 && present.size === wanted.length &&
    wanted.every((cidr) => present.has(formatCidr(cidr)));
}

/**
 * The peers whose sessions may be gone: a device that was deleted or set down has
 * lost them, and its routes as well. The other hosts do not know it yet, and what
 * they send is lost until their kernels miss answers, after 15 seconds.
 */
export function sessionsToRenew(
  wanted: readonly WantedPeer[],
  { peers }: Pick<WireguardDevice, "peers">,
  putRoutes: readonly Pick<NewRoute, "destination">[],
): WantedPeer[] {
  const present = new Set(peers.map(({ publicKey }) => publicKey));
  const routed = new Set(
    putRoutes.map(({ destination }) => formatCidr(destination)),
  );
  return wanted.filter(({ entry, peer }) =>
    !present.has(entry.publicKey) || routed.has(formatCidr(peer.subnet))
  );
}

/**
 * A handshake takes the kernel some tenths of a millisecond. Where there are more
 * peers, the others' sessions are renewed by the first packet to them.
 */
const MOST_RENEWED = 1_000;

/**
 * Two changes to a peer that make the kernel send an empty packet at once, and
 * agree on a session before it where there is none: it does so when a keepalive
 * is switched on. Afterwards the keepalive is as it was wanted.
 */
export function renewals(
  peers: readonly WantedPeer[],
): [WireguardPeerChange[], WireguardPeerChange[]] {
  const set = (keepaliveOf: (wanted: number) => number) =>
    peers.slice(0, MOST_RENEWED).map((
      { entry: { keepaliveSeconds, publicKey } },
    ) => ({
      publicKey,
      keepaliveSeconds: keepaliveOf(keepaliveSeconds),
    }));
  return [
    set((wanted) => wanted === 0 ? LONGEST_KEEPALIVE_SECONDS : 0),
    set((wanted) => wanted),
  ];
}

const LONGEST_KEEPALIVE_SECONDS = 65_535;

/** Lines of the status: the number of peers with a session, and those without. */
export function describeHandshakes(
  wanted: readonly WantedPeer[],
  { peers }: Pick<WireguardDevice, "peers">,
  nowMs: number,
): Record<string, string> {
  const present = new Map(peers.map((peer) => [peer.publicKey, peer]));
  const lines: Record<string, string> = {};
  let alive = 0;
  let unnamed = 0;
  for (const { entry, peer } of wanted) {
    const { lastHandshakeMs = 0, txBytes = 0 } = present.get(entry.publicKey) ??
      {};
    const ageMs = nowMs - lastHandshakeMs;
    if (ageMs <= SESSION_MS) {
      alive++;
      continue;
    }
    // Without packets to it a peer has no handshake.
    if (txBytes === 0 && lastHandshakeMs === 0) continue;
    if (Object.keys(lines).length === MOST_NAMED) {
      unnamed++;
      continue;
    }
    const age = lastHandshakeMs === 0
      ? "none yet"
      : `${Math.round(ageMs / 1_000)} s ago`;
    lines[`last handshake with ${formatCidr(peer.subnet)}`] = `${age} (${
      formatIpv4(entry.endpoint.address)
    }:${entry.endpoint.port})`;
  }
  return {
    sessions: `${alive} of ${wanted.length} peers`,
    ...lines,
    ...unnamed === 0 ? {} : { "last handshake with others": `${unnamed} more` },
  };
}

/** Lines about peers without a session. */
const MOST_NAMED = 10;
