/**
 * The store of leases, as the lease keeper and the peer watch see it.
 *
 * Implementations: `etcd_registry.ts` (etcd v3) and the fake in `tests/fakes/`.
 * Both pass `tests/contract/registry_contract.ts`.
 *
 * @module
 */

import type { Cidr } from "../net/cidr.ts";
import type { Lease, LeaseAttributes, LeaseVersion } from "./lease.ts";

/**
 * A key that is not a lease, or with an unreadable value; skipped and reported.
 */
export interface RejectedLease {
  /** The whole key, for the operator. */
  readonly key: string;
  readonly reason: string;
  /** Set if the key is valid and only the value is not: the subnet is held. */
  readonly version?: LeaseVersion;
}

/** All leases at one revision. */
export interface LeaseSnapshot {
  readonly leases: readonly Lease[];
  readonly rejected: readonly RejectedLease[];
  /** The store's revision; a watch from the next one misses nothing. */
  readonly revision: string;
}

/**
 * One subnet's key at one revision; neither member is set if the key is absent.
 */
export interface LeaseLookup {
  readonly lease?: Lease;
  readonly rejected?: RejectedLease;
  readonly revision: string;
}

/** From one revision, excluded, to another, included. */
export interface RevisionSpan {
  readonly after: string;
  readonly upTo: string;
}

/** One change under `<prefix>/subnets/`. */
export type LeaseEvent =
  | { readonly type: "put"; readonly lease: Lease; readonly revision: string }
  | {
    readonly type: "delete";
    readonly name: string;
    readonly subnet: Cidr;
    readonly revision: string;
  }
  | {
    readonly type: "rejected";
    readonly rejected: RejectedLease;
    readonly revision: string;
  };

/** The text under `<prefix>/config` and the revision it was written at. */
export interface StoredConfig {
  readonly text: string;
  readonly modRevision: string;
}

/**
 * Every method rejects within a bounded time with {@linkcode RegistryError},
 * whose `fault` names the kind of fault. An aborted signal rejects with the
 * signal's reason.
 *
 * A method that rejects after it was sent may have been carried out: read again
 * before you decide.
 */
export interface LeaseRegistry {
  /** `undefined` if there is no such key. */
  readConfig(signal: AbortSignal): Promise<StoredConfig | undefined>;
  /**
   * Yields the config as it is now, then after every change (only the newest of
   * several); `undefined` while there is no such key. Ends by rejecting, also
   * for a value that is not text; watch again after a pause.
   */
  watchConfig(signal: AbortSignal): AsyncIterable<StoredConfig | undefined>;
  /**
   * Writes the config if the key is still as in `expected` (`undefined`: absent).
   * @returns whether it was written.
   */
  writeConfig(
    text: string,
    expected: StoredConfig | undefined,
    signal: AbortSignal,
  ): Promise<boolean>;

  list(signal: AbortSignal): Promise<LeaseSnapshot>;

  /**
   * The leases, as of one revision, that were written after another revision:
   * what changed between a listing and a write.
   */
  listWritten(span: RevisionSpan, signal: AbortSignal): Promise<Lease[]>;

  /** The one key that {@linkcode create} would make for `subnet`. */
  get(subnet: Cidr, signal: AbortSignal): Promise<LeaseLookup>;

  /** Creates the key of a subnet; `undefined` if it exists. */
  create(
    subnet: Cidr,
    attributes: LeaseAttributes,
    ttlSeconds: number,
    signal: AbortSignal,
  ): Promise<Lease | undefined>;

  /**
   * Overwrites a key that is unchanged since `version.modRevision` with
   * attributes and a new TTL; `undefined` if it has changed or is gone. The old
   * etcd lease is revoked only after the put is certain. A reservation
   * (`etcdLeaseId` 0) stays without a TTL.
   */
  renew(
    version: LeaseVersion,
    attributes: LeaseAttributes,
    ttlSeconds: number,
    signal: AbortSignal,
  ): Promise<Lease | undefined>;

  /**
   * Seconds until a lease expires without renewal; `undefined` for a
   * reservation and an expired lease.
   */
  remainingSeconds(
    version: LeaseVersion,
    signal: AbortSignal,
  ): Promise<number | undefined>;

  /** Deletes a key if it is unchanged; whether it was deleted. */
  remove(version: LeaseVersion, signal: AbortSignal): Promise<boolean>;

  /**
   * Yields changes after `revision`, in order; with `only`, those of one
   * subnet's key. Changes that arrive while the last ones are handled come
   * together; no item is empty. Ends by rejecting: `compacted` if the revision
   * is gone, another fault if the connection is lost.
   */
  watch(
    revision: string,
    signal: AbortSignal,
    only?: Cidr,
  ): AsyncIterable<readonly LeaseEvent[]>;

  /**
   * Whether an agent with this host id is alive: it is probed through the store
   * and has `patienceMs` to answer. `false` proves nothing.
   */
  isAlive(
    hostId: string,
    patienceMs: number,
    signal: AbortSignal,
  ): Promise<boolean>;

  /** Answers every {@linkcode isAlive} for this host, until it rejects. */
  answerFor(hostId: string, signal: AbortSignal): Promise<never>;

  /**
   * Replaces every connection, because this host's address or route may have
   * changed, which the kernel would notice only after minutes. Calls and
   * watches in progress reject as if the connection had broken.
   */
  reconnect(): void;

  close(): void;
}
