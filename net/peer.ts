/**
 * The other hosts of the overlay, as values.
 *
 * @module
 */

import { type Cidr, formatCidr } from "./cidr.ts";
import type { Ipv4 } from "./ipv4.ts";

/** What carries a host's packets: programs in its kernel, or its agent. */
export type DataPathName = "ebpf" | "tun";

/** Whether it is one that this version knows. */
export function isDataPathName(value: unknown): value is DataPathName {
  return value === "ebpf" || value === "tun";
}

/** A host that holds a lease, and where to send its packets. */
export interface Peer {
  readonly subnet: Cidr;
  /** The underlay address at which the peer is reached. */
  readonly publicIp: Ipv4;
  /** As in the lease; `udp` when the lease names none (compat 3.2). */
  readonly backendType: string;
  /** The lease's BackendData, unread. */
  readonly backendData?: unknown;
  /**
   * What the peer's receiver can take, as its lease says; absent for flannel and
   * for a Loden that says nothing. It never decides whether packets are accepted.
   */
  readonly dataPath?: DataPathName;
  /**
   * The key has vanished but the peer is kept for its grace: its packets still
   * flow, in both directions.
   */
  readonly stale: boolean;
}

/** The peers as a diff leaves them, each by its subnet as text. */
export function applyPeerDiff(
  peers: Map<string, Peer>,
  { added, changed, removed }: PeerDiff,
): void {
  for (const { subnet } of removed) peers.delete(formatCidr(subnet));
  for (const peer of added) peers.set(formatCidr(peer.subnet), peer);
  for (const peer of changed) peers.set(formatCidr(peer.subnet), peer);
}

/** What changed between two sets of peers. Subnets are the identity. */
export interface PeerDiff {
  readonly added: readonly Peer[];
  /** Same subnet, another address, backend, data path or staleness: the new values. */
  readonly changed: readonly Peer[];
  readonly removed: readonly Peer[];
}
