/**
 * What a host remembers of its network while etcd is away: the interface.
 *
 * Implementations: `file_state_store.ts` and the fake in `tests/fakes/`.
 *
 * @module
 */

import type { Cidr } from "../net/cidr.ts";
import type { Ipv4 } from "../net/ipv4.ts";
import type { Peer } from "../net/peer.ts";

/** This host's own lease, as last confirmed. */
export interface StoredLease {
  readonly subnet: Cidr;
  readonly publicIp: Ipv4;
  /** Wall clock, milliseconds since 1970; absent for a reservation. */
  readonly expiresAtMs?: number;
}

/** A peer, and since when its key is gone if it is. */
export interface StoredPeer extends Peer {
  /** Wall clock, milliseconds since 1970; of a stale peer. */
  readonly vanishedAtMs?: number;
}

/**
 * Memory that outlives the process. It is a help, never a condition: no method
 * throws or rejects; trouble with the disk is logged.
 */
export interface StateStore {
  /** Which installation this is: random, made once, bound to the underlay's MAC. */
  readonly hostId: string;
  /** The network config's text as last accepted. */
  readonly configText: string | undefined;
  readonly lease: StoredLease | undefined;
  readonly peers: readonly StoredPeer[];
  /** The installation stays what it is, on an underlay with another MAC. */
  moveTo(underlayMac: string): void;
  saveConfig(text: string): void;
  saveLease(lease: StoredLease): void;
  /** `peers` is asked when they are written, which may be later. */
  savePeers(peers: () => readonly StoredPeer[]): void;
  /** Writes what is not written yet, and ends. */
  close(): Promise<void>;
}
