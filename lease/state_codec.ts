/**
 * Encodes the durable state as JSON with a version.
 *
 * @module
 */

import { formatCidr, parseCidr } from "../net/cidr.ts";
import { formatIpv4, parseIpv4 } from "../net/ipv4.ts";
import { isDataPathName } from "../net/peer.ts";
import { isHostId } from "./host_id.ts";
import type { StoredLease, StoredPeer } from "./state_store.ts";

/** Everything that is remembered. */
export interface DurableState {
  readonly hostId: string;
  /** `aa:bb:cc:dd:ee:ff`; empty for an underlay without one. */
  readonly underlayMac: string;
  readonly configText?: string;
  readonly lease?: StoredLease;
  readonly peers: readonly StoredPeer[];
}

const VERSION = 1;

/** One JSON object, with a line feed at its end. */
export function encodeState(state: DurableState): string {
  const { hostId, underlayMac, configText, lease, peers } = state;
  return JSON.stringify({
    version: VERSION,
    hostId,
    underlayMac,
    config: configText,
    lease: lease && {
      subnet: formatCidr(lease.subnet),
      publicIp: formatIpv4(lease.publicIp),
      expires: formatTime(lease.expiresAtMs),
    },
    peers: peers.map((peer) => ({
      subnet: formatCidr(peer.subnet),
      publicIp: formatIpv4(peer.publicIp),
      backendType: peer.backendType,
      backendData: peer.backendData,
      dataPath: peer.dataPath,
      stale: peer.stale || undefined,
      vanished: formatTime(peer.vanishedAtMs),
    })),
  }) + "\n";
}

/**
 * @throws {SyntaxError} for invalid JSON, {@linkcode BadStateError} for JSON
 * that {@linkcode encodeState} does not produce.
 */
export function decodeState(text: string): DurableState {
  const json = object(JSON.parse(text), "it");
  if (json.version !== VERSION) {
    throw new BadStateError(`version must be ${VERSION}`);
  }
  const { config, lease, peers } = json;
  return {
    hostId: hostId(json.hostId),
    underlayMac: string(json.underlayMac, "underlayMac"),
    ...(config === undefined ? {} : { configText: string(config, "config") }),
    ...(lease === undefined ? {} : { lease: decodeLease(lease) }),
    peers: array(peers, "peers").map(decodePeer),
  };
}

/** JSON of another form. */
export class BadStateError extends Error {
  override readonly name = "BadStateError";
}

function decodeLease(value: unknown): StoredLease {
  const { subnet, publicIp, expires } = object(value, "lease");
  return {
    subnet: cidr(subnet),
    publicIp: address(publicIp),
    ...(expires === undefined ? {} : { expiresAtMs: time(expires) }),
  };
}

function decodePeer(value: unknown): StoredPeer {
  const fields = object(value, "a peer");
  const { subnet, publicIp, backendType, backendData } = fields;
  const { dataPath, stale, vanished } = fields;
  return {
    subnet: cidr(subnet),
    publicIp: address(publicIp),
    backendType: string(backendType, "backendType"),
    ...(backendData === undefined ? {} : { backendData }),
    // A later version may have written another word, which is ignored.
    ...(isDataPathName(dataPath) ? { dataPath } : {}),
    stale: stale === true,
    ...(vanished === undefined ? {} : { vanishedAtMs: time(vanished) }),
  };
}

function formatTime(milliseconds: number | undefined): string | undefined {
  return milliseconds === undefined
    ? undefined
    : new Date(milliseconds).toISOString();
}

function time(value: unknown): number {
  const milliseconds = Date.parse(string(value, "a time"));
  return Number.isNaN(milliseconds) ? fail("a time", "RFC 3339") : milliseconds;
}

function hostId(value: unknown) {
  const text = string(value, "hostId");
  return isHostId(text) ? text : fail("hostId", "32 hexadecimal digits");
}

function cidr(value: unknown) {
  return parseCidr(string(value, "subnet")) ?? fail("subnet", "a.b.c.d/len");
}

function address(value: unknown) {
  return parseIpv4(string(value, "publicIp")) ?? fail("publicIp", "a.b.c.d");
}

function string(value: unknown, name: string): string {
  return typeof value === "string" ? value : fail(name, "a string");
}

function array(value: unknown, name: string): unknown[] {
  return Array.isArray(value) ? value : fail(name, "a list");
}

function object(value: unknown, name: string): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as Record<string, unknown>
    : fail(name, "an object");
}

function fail(name: string, rule: string): never {
  throw new BadStateError(`${name} must be ${rule}`);
}
