/**
 * The agent's view of etcd: this host's lease and its peers.
 *
 * @module
 */

import type { BackendAdvertisement } from "../backend/backend.ts";
import type { NetworkConfig } from "../config/network/network.ts";
import type { Lease } from "../lease/lease.ts";
import type { Cidr } from "../net/cidr.ts";
import type { Peer, PeerDiff } from "../net/peer.ts";
import type { Underlay } from "../net/underlay.ts";
import type { LeaseStatus } from "./status/status_snapshot.ts";

/** What an earlier run of this agent saved. */
export interface SavedNetwork {
  readonly config: NetworkConfig;
  readonly subnet: Lease["subnet"];
  readonly peers: readonly Peer[];
}

/** What the agent requests. */
export interface LeaseRequest {
  readonly config: NetworkConfig;
  readonly underlay: Underlay;
  readonly advertisement: BackendAdvertisement;
}

/** What has changed while the network was running. */
export type MembershipUpdate = Partial<
  Pick<LeaseRequest, "config" | "underlay">
>;

/** Callbacks to the agent. */
export interface MembershipEvents {
  onLease(lease: LeaseStatus): void;
  /** Another host took this host's subnet; this host has another one now. */
  onSubnetChanged(subnet: Cidr): void;
  /** Why etcd cannot be used; `undefined` if it can (again). */
  onEtcd(trouble: string | undefined): void;
  onPeers(diff: PeerDiff): Promise<void>;
  /** All peers of a first listing have been reported. */
  onPeersKnown(): void;
  /**
   * What to say about peers that etcd has not confirmed for a while; `undefined`:
   * nothing.
   */
  onPeersUnconfirmed(text: string | undefined): void;
}

/** The part of the agent that manages leases in etcd. */
export interface Membership {
  /** `undefined` if there is no state that this host could start from. */
  saved(underlay: Underlay): Promise<SavedNetwork | undefined>;
  /**
   * Waits, through every fault of etcd, for a subnet for this host.
   *
   * @throws the signal's reason if aborted; errors that waiting cannot cure.
   */
  acquire(request: LeaseRequest, signal: AbortSignal): Promise<Lease>;
  /**
   * Sets what the lease must contain about the backend from now on, whether
   * there is a lease yet or not. Returns at once; it is written when etcd is
   * available, and only if the lease differs.
   */
  advertise(advertisement: BackendAdvertisement): void;
  /**
   * The lease and the choice of peers follow as soon as etcd is available. The
   * subnet stays.
   */
  update(change: MembershipUpdate): void;
  /**
   * Sets which backends this host serves peers by from now on; the first one is
   * the network's, the others are former ones. Leases of others are no peers.
   */
  serve(backendTypes: readonly string[]): void;
  /**
   * When etcd last confirmed the peer, in milliseconds since 1970; `undefined` if
   * there is none with that subnet.
   */
  confirmedAtMs(subnet: Cidr): number | undefined;
  /** Keeps the lease and follows the peers, until aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** Saves what is not saved yet. */
  close(): Promise<void>;
}
