/**
 * This host among the others, as the agent sees it: its lease and its peers.
 *
 * @module
 */

import type { BackendAdvertisement } from "../backend/backend.ts";
import type { NetworkConfig } from "../config/network/network.ts";
import type { Lease } from "../lease/lease.ts";
import type { Cidr } from "../net/cidr.ts";
import type { Peer, PeerDiff } from "../net/peer.ts";
import type { Underlay } from "../net/underlay.ts";
import type { LeaseStatus } from "./status/state.ts";

/** What an earlier run of this agent wrote down. */
export interface SavedNetwork {
  readonly config: NetworkConfig;
  readonly subnet: Lease["subnet"];
  readonly peers: readonly Peer[];
}

/** What the agent asks for. */
export interface LeaseRequest {
  readonly config: NetworkConfig;
  readonly underlay: Underlay;
  readonly advertisement: BackendAdvertisement;
}

/** What has changed while the network runs. */
export type MembershipUpdate = Partial<
  Pick<LeaseRequest, "config" | "underlay">
>;

/** What the agent is told. */
export interface MembershipEvents {
  onLease(lease: LeaseStatus): void;
  /** Another host has this host's subnet; this one has another subnet now. */
  onSubnetChanged(subnet: Cidr): void;
  /** Why etcd cannot be used; `undefined`: it can (again). */
  onEtcd(trouble: string | undefined): void;
  onPeers(diff: PeerDiff): Promise<void>;
  /** All peers of a first listing have been told. */
  onPeersKnown(): void;
}

/** The part of the agent that speaks with etcd about leases. */
export interface Membership {
  /** `undefined` when there is nothing that this host could start from. */
  saved(underlay: Underlay): Promise<SavedNetwork | undefined>;
  /**
   * Waits, through every fault of etcd, for a subnet of this host's own.
   *
   * @throws the signal's reason when aborted; what waiting cannot cure.
   */
  acquire(request: LeaseRequest, signal: AbortSignal): Promise<Lease>;
  /**
   * What the lease must say of the backend from now on, whether there is a lease
   * yet or not. Returns at once; it is written when etcd can be had, and only if
   * the lease says something else.
   */
  advertise(advertisement: BackendAdvertisement): void;
  /**
   * The lease and the judgement of the peers follow, as soon as etcd can be had.
   * The subnet stays.
   */
  update(change: MembershipUpdate): void;
  /** Keeps the lease and follows the peers, until aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** Writes down what is not written yet. */
  close(): Promise<void>;
}
