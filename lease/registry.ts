/**
 * Where leases live: the interface that the lease keeper and the peer watch see.
 *
 * Implementations: `etcd_registry.ts` (etcd v3) and the fake in `tests/fakes/`.
 * Both pass `tests/contract/registry_contract.ts`.
 *
 * @module
 */

import type { Cidr } from "../net/cidr.ts";
import type { Lease, LeaseAttributes, LeaseVersion } from "./lease.ts";

/** A key that is not a lease, or whose value cannot be read: skipped, reported. */
export interface RejectedLease {
  /** The whole key, for the operator. */
  readonly key: string;
  readonly reason: string;
  /** Where the key could be read and only the value is bad: the subnet is held. */
  readonly version?: LeaseVersion;
}

/** All leases at one revision. */
export interface LeaseSnapshot {
  readonly leases: readonly Lease[];
  readonly rejected: readonly RejectedLease[];
  /** The store's revision; a watch that starts after it misses nothing. */
  readonly revision: string;
}

/** One subnet's key at one revision; neither member when the key is absent. */
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
 * Every method rejects with {@linkcode RegistryError}, whose `fault` says what
 * kind of trouble it was, within a bounded time; none waits for ever. An aborted
 * signal rejects with the signal's reason.
 *
 * A method that rejects after it was sent may have been carried out: read again
 * before you decide.
 */
export interface LeaseRegistry {
  /** `undefined` when there is no such key. */
  readConfig(signal: AbortSignal): Promise<StoredConfig | undefined>;
  /**
   * The config as it is now, at once, and then as every change leaves it, the
   * newest only where there were several; `undefined` while there is no such key.
   * Ends by rejecting, also for a value that is not text: watch again after a
   * pause, which begins with what is there then.
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
   * Of the leases as they were at one revision those that were written after
   * another: what came in between a listing and a write.
   */
  listWritten(span: RevisionSpan, signal: AbortSignal): Promise<Lease[]>;

  /** The one key that {@linkcode create} would make for `subnet`. */
  get(subnet: Cidr, signal: AbortSignal): Promise<LeaseLookup>;

  /** Takes a subnet whose key is absent; `undefined` when somebody has it. */
  create(
    subnet: Cidr,
    attributes: LeaseAttributes,
    ttlSeconds: number,
    signal: AbortSignal,
  ): Promise<Lease | undefined>;

  /**
   * Writes attributes and a new TTL over a key that is unchanged since
   * `version.modRevision`; `undefined` when it has changed or gone. The old etcd
   * lease is revoked only after the put is certain. A reservation
   * (`etcdLeaseId` 0) keeps having no TTL.
   */
  renew(
    version: LeaseVersion,
    attributes: LeaseAttributes,
    ttlSeconds: number,
    signal: AbortSignal,
  ): Promise<Lease | undefined>;

  /**
   * Seconds until a lease ends if nobody renews it; `undefined` for a reservation
   * and for one that has ended.
   */
  remainingSeconds(
    version: LeaseVersion,
    signal: AbortSignal,
  ): Promise<number | undefined>;

  /** Deletes a key that is unchanged; whether it was deleted. */
  remove(version: LeaseVersion, signal: AbortSignal): Promise<boolean>;

  /**
   * Changes after `revision`, in order; of one subnet's key alone when `only` is
   * given. What has arrived while the last ones were dealt with comes together;
   * none comes without a change. Ends by rejecting: `compacted` when the revision is gone, any other
   * fault when the connection is lost.
   */
  watch(
    revision: string,
    signal: AbortSignal,
    only?: Cidr,
  ): AsyncIterable<readonly LeaseEvent[]>;

  /**
   * Whether an agent with this host id is there: it is asked through the store,
   * and has `patienceMs` to answer. A "no" proves nothing.
   */
  isAlive(
    hostId: string,
    patienceMs: number,
    signal: AbortSignal,
  ): Promise<boolean>;

  /** Answers every {@linkcode isAlive} for this host, until it rejects. */
  answerFor(hostId: string, signal: AbortSignal): Promise<never>;

  /**
   * Makes every connection anew, since this host's own address or way may be
   * another one now and the kernel would find that out only after minutes. Calls
   * and watches that are under way reject as if the connection had broken.
   */
  reconnect(): void;

  close(): void;
}
