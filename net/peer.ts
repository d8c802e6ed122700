/**
 * The other hosts of the overlay, as values.
 *
 * @module
 */

import type { Cidr } from "./cidr.ts";
import type { Ipv4 } from "./ipv4.ts";

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
   * The key has vanished but the peer is kept for its grace: its packets still
   * flow, in both directions.
   */
  readonly stale: boolean;
}

/** What changed between two sets of peers. Subnets are the identity. */
export interface PeerDiff {
  readonly added: readonly Peer[];
  /** Same subnet, another address, backend or staleness: the new values. */
  readonly changed: readonly Peer[];
  readonly removed: readonly Peer[];
}
