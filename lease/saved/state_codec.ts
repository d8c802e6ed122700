/**
 * Encodes the durable state as JSON with a version.
 *
 * @module
 */

import * as v from "valibot";
import { LodenError } from "../../errors.ts";
import { formatCidr } from "../../net/cidr.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import {
  cidrText,
  dataPathName,
  describeIssue,
  ipv4Text,
  jsonText,
  timeText,
} from "../../net/schemas.ts";
import { hostIdText } from "../host_id.ts";
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
      confirmed: formatTime(peer.confirmedAtMs),
    })),
  }) + "\n";
}

const leaseSchema = v.object({
  subnet: cidrText,
  publicIp: ipv4Text,
  expires: v.exactOptional(timeText),
});

const peerSchema = v.object({
  subnet: cidrText,
  publicIp: ipv4Text,
  backendType: v.string("a string"),
  backendData: v.exactOptional(v.unknown()),
  dataPath: dataPathName,
  stale: v.fallback(v.boolean(), false),
  vanished: v.exactOptional(timeText),
  confirmed: v.exactOptional(timeText),
});

const stateSchema = v.object({
  version: v.literal(VERSION, String(VERSION)),
  hostId: hostIdText,
  underlayMac: v.string("a string"),
  config: v.exactOptional(v.string("a string")),
  lease: v.exactOptional(leaseSchema),
  peers: v.array(peerSchema, "a list"),
}, "an object");

/**
 * @throws {BadStateError} for what {@linkcode encodeState} does not produce.
 */
export function decodeState(text: string): DurableState {
  const result = v.safeParse(v.pipe(jsonText, stateSchema), text);
  if (!result.success) {
    throw new BadStateError(describeIssue(result.issues[0]));
  }
  const { hostId, underlayMac, config, lease, peers } = result.output;
  return {
    hostId,
    underlayMac,
    ...(config !== undefined && { configText: config }),
    ...(lease !== undefined && { lease: storedLease(lease) }),
    peers: peers.map(storedPeer),
  };
}

/** A text that is no state. */
export class BadStateError extends LodenError {
  constructor(reason: string) {
    super("state.invalid", `Cannot understand the saved state: ${reason}`);
  }
}

function storedLease(
  { expires, ...lease }: v.InferOutput<typeof leaseSchema>,
): StoredLease {
  return { ...lease, ...(expires !== undefined && { expiresAtMs: expires }) };
}

function storedPeer(
  { dataPath, vanished, confirmed, ...peer }: v.InferOutput<typeof peerSchema>,
): StoredPeer {
  return {
    ...peer,
    ...(dataPath !== undefined && { dataPath }),
    ...(vanished !== undefined && { vanishedAtMs: vanished }),
    ...(confirmed !== undefined && { confirmedAtMs: confirmed }),
  };
}

function formatTime(milliseconds: number | undefined): string | undefined {
  return milliseconds === undefined
    ? undefined
    : new Date(milliseconds).toISOString();
}
