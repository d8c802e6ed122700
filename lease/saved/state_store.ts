/**
 * What a host remembers about its network while etcd is away.
 *
 * Implementations: `file_state_store.ts` and the fake in `tests/fakes/`.
 *
 * @module
 */

import type { Cidr } from "../../net/cidr.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import type { Peer } from "../../net/peer.ts";

/** This host's own lease, as last confirmed. */
export interface StoredLease {
  readonly subnet: Cidr;
  readonly publicIp: Ipv4;
  /** Wall clock, milliseconds since 1970; absent for a reservation. */
  readonly expiresAtMs?: number;
}

/** A peer, and since when its key is gone, if it is. */
export interface StoredPeer extends Peer {
  /** Wall clock, milliseconds since 1970; of a stale peer. */
  readonly vanishedAtMs?: number;
  /**
   * Wall clock, milliseconds since 1970: when etcd last confirmed it; absent in the
   * state of a version that did not know.
   */
  readonly confirmedAtMs?: number;
}

/**
 * State that outlives the process. It is optional: no method throws or rejects;
 * disk errors are logged.
 */
export interface StateStore {
  /**
   * Identifies this installation: random, created once, bound to the underlay's
   * MAC.
   */
  readonly hostId: string;
  /** The text of the last accepted network config. */
  readonly configText: string | undefined;
  readonly lease: StoredLease | undefined;
  readonly peers: readonly StoredPeer[];
  /** Keeps the installation's id on an underlay with another MAC. */
  moveTo(underlayMac: string): void;
  saveConfig(text: string): void;
  saveLease(lease: StoredLease): void;
  /** `peers` is called when they are written, which may be later. */
  savePeers(peers: () => readonly StoredPeer[]): void;
  /** Writes what is not written yet and ends. */
  close(): Promise<void>;
}
