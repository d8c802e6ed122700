/**
 * The other hosts of the overlay, as values.
 *
 * @module
 */

import { type Cidr, formatCidr } from "./cidr.ts";
import type { Ipv4 } from "./ipv4.ts";

/** A host's data path: programs in its kernel (`ebpf`) or its agent (`tun`). */
export type DataPathName = "ebpf" | "tun";

/** A host that holds a lease, and where to send packets for it. */
export interface Peer {
  readonly subnet: Cidr;
  /** The underlay address at which the peer is reached. */
  readonly publicIp: Ipv4;
  /** As in the lease; `udp` when the lease names none (compat 3.2). */
  readonly backendType: string;
  /** The lease's BackendData, not interpreted. */
  readonly backendData?: unknown;
  /**
   * The peer's data path, from its lease; absent for flannel and for a Loden
   * that has not published it. It never decides whether packets are accepted.
   */
  readonly dataPath?: DataPathName;
  /**
   * The key is gone, but the peer is kept for the grace period: its packets
   * still flow in both directions.
   */
  readonly stale: boolean;
}

/** The peers after a diff, by subnet as text. */
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

/** Packets and bytes of one peer, without the outer headers. */
export interface PeerTraffic {
  readonly subnet: Cidr;
  readonly txPackets: number;
  readonly txBytes: number;
  readonly rxPackets: number;
  readonly rxBytes: number;
}
