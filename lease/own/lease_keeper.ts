/**
 * Keeps this host's lease: acquires, renews and watches it, and acquires it
 * again.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../linux/clock.ts";
import type { RandomSource } from "../../linux/random.ts";
import { equalCidr, formatCidr } from "../../net/cidr.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";
import type { SubnetPool } from "../../net/subnet_pool.ts";
import { type Acquired, tryAcquire } from "./acquisition.ts";
import type { PreviousSubnet } from "./acquisition_plan.ts";
import { RegistryError, UnstableKeyError } from "../errors.ts";
import {
  isReservation,
  type Lease,
  type LeaseAdvertisement,
  type LeaseAttributes,
  type LeaseVersion,
} from "../lease.ts";
import { encodeLeaseValue } from "../lease_codec.ts";
import { LeaseClock, type LeaseTimes } from "./lease_clock.ts";
import {
  deleted,
  failed,
  overlapped,
  takenBy,
  unreadable,
} from "./lease_causes.ts";
import { formatExpiry, logLeaseState } from "./lease_log.ts";
import {
  initialLeaseState,
  isNews,
  type LeaseState,
  type LeaseTransition,
  nextLeaseState,
} from "./lease_state.ts";
import { OwnLease } from "./own_lease.ts";
import type { LeaseRegistry, RejectedLease } from "../registry.ts";
import { RegistryPauses } from "../registry_pauses.ts";
import type { StateStore } from "../saved/state_store.ts";

const log = getLogger(["loden", "lease"]);

/** What the keeper works with. */
export interface LeaseKeeperComponents {
  readonly registry: LeaseRegistry;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Called with every confirmed lease. */
  readonly store?: Pick<StateStore, "saveLease">;
}

/** Options of the keeper. */
export interface LeaseKeeperOptions extends Partial<LeaseTimes> {
  /** Subnets that this host has had, the most trusted first. */
  readonly previous?: readonly PreviousSubnet[];
  /** Whether the first lease may take its PublicIP from a host that is alive. */
  readonly takeOver?: boolean;
}

/** All that is known about the lease. */
export interface LeaseKeeperStatus {
  readonly state: LeaseState;
  readonly lease: Lease | undefined;
  /** Wall clock, milliseconds since 1970; `undefined` for a reservation. */
  readonly expiresAtMs: number | undefined;
}

/** flannel's duration (compat 3.3) and its default margin (compat 1.3). */
const DEFAULT_TTL_SECONDS = 86_400;
const DEFAULT_RENEW_MARGIN_SECONDS = 3_600;

/**
 * Number of lost races and concurrent changes that are retried without a pause.
 */
const MAX_QUICK_TRIES = 10;

/** The key's content at the last read, if it was not what it should be. */
interface Found {
  readonly lease: Lease | undefined;
  readonly rejected: RejectedLease | undefined;
}

/**
 * Acquires a lease and keeps it. Nothing that etcd does ends it: every fault is
 * a {@linkcode LeaseState}, reported once per change to the log and the
 * listeners. If another host takes the subnet, the keeper acquires another one.
 */
export class LeaseKeeper {
  readonly #registry: LeaseRegistry;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #store: Pick<StateStore, "saveLease"> | undefined;
  readonly #times: LeaseTimes;
  /** Subnets that this host has had, the most trusted first. */
  #previous: readonly PreviousSubnet[];
  #takeOver: boolean;
  readonly #leaseClock: LeaseClock;
  readonly #pauses: RegistryPauses;
  readonly #listeners = new Set<(status: LeaseKeeperStatus) => void>();
  #state: LeaseState;
  readonly #own = new OwnLease();
  #pool: SubnetPool | undefined;

  constructor(
    components: LeaseKeeperComponents,
    options: LeaseKeeperOptions = {},
  ) {
    const { registry, clock, random, store } = components;
    this.#registry = registry;
    this.#clock = clock;
    this.#random = random;
    this.#store = store;
    this.#times = {
      ttlSeconds: options.ttlSeconds ?? DEFAULT_TTL_SECONDS,
      renewMarginSeconds: options.renewMarginSeconds ??
        DEFAULT_RENEW_MARGIN_SECONDS,
    };
    this.#previous = options.previous ?? [];
    this.#takeOver = options.takeOver ?? false;
    this.#leaseClock = new LeaseClock(clock, random, this.#times);
    this.#pauses = new RegistryPauses(random);
    this.#state = initialLeaseState(clock.now());
  }

  get status(): LeaseKeeperStatus {
    return {
      state: this.#state,
      lease: this.#own.lease,
      expiresAtMs: this.#own.lease && this.#leaseClock.expiresAtMs,
    };
  }

  /**
   * Calls `listener` at every change of the state and at every renewal.
   * @returns a function that ends that.
   */
  onStatus(listener: (status: LeaseKeeperStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Sets what the lease's value must contain from now on. {@linkcode run}
   * writes it, or an {@linkcode acquire} that is still in progress; nothing is
   * written if the value is already right.
   */
  advertise(advertisement: LeaseAdvertisement): void {
    this.#own.advertise(advertisement);
  }

  /** Sets this host's new address: the same key is rewritten, as above. */
  relocate(publicIp: Ipv4): void {
    this.#own.relocate(publicIp);
  }

  /** Sets the pool of the next subnet; the held subnet stays. */
  usePool(pool: SubnetPool): void {
    this.#pool = pool;
  }

  /**
   * Waits, through every fault of etcd and an exhausted pool, for a lease on a
   * subnet of `pool` (compat 3.4; the order is in docs/lease.md).
   *
   * @throws only the signal's reason.
   */
  async acquire(
    pool: SubnetPool,
    attributes: LeaseAttributes,
    signal: AbortSignal,
  ): Promise<Lease> {
    this.#pool = pool;
    for (let quickTries = 0;;) {
      signal.throwIfAborted();
      try {
        const since = this.#leaseClock.mark();
        const acquired = await this.#tryAcquire(attributes, signal);
        if (acquired !== undefined) {
          this.#begin(acquired, since);
          return acquired.lease;
        }
        if (++quickTries < MAX_QUICK_TRIES) continue;
        quickTries = 0;
        await this.#clock.sleep(this.#pauses.next("lease.race-lost"), signal);
      } catch (error) {
        signal.throwIfAborted();
        await this.#failAndPause(error, signal);
      }
    }
  }

  /**
   * Keeps the acquired lease until the signal is aborted, then resolves. The key
   * stays in etcd, so that a restart finds it (compat 3.6).
   */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#own.lease === undefined) {
      throw new TypeError("Cannot keep a lease: acquire must come first");
    }
    while (!signal.aborted) {
      try {
        const revision = await this.#verify(signal);
        await this.#untilInDoubt(revision, signal);
      } catch (error) {
        if (signal.aborted) return;
        // It rejects only when the signal is aborted, which ends the loop.
        await this.#failAndPause(error, signal).catch(() => {});
      }
    }
  }

  /** One listing and one write; `undefined` if another host was faster. */
  #tryAcquire(
    attributes: LeaseAttributes,
    signal: AbortSignal,
  ): Promise<Acquired | undefined> {
    return tryAcquire(
      { registry: this.#registry, random: this.#random },
      {
        pool: this.#pool!,
        attributes: { ...attributes, ...this.#own.said },
        previous: this.#previous,
        ttlSeconds: this.#times.ttlSeconds,
        takeOver: this.#takeOver,
        onRunningLost: () => this.#giveUp(this.#own.lease!),
      },
      signal,
    );
  }

  /** A lease that is new in this run. */
  #begin(
    { lease, how }: Acquired,
    since: ReturnType<LeaseClock["mark"]>,
  ): void {
    this.#hold(lease, since);
    this.#pauses.reset();
    // Two hosts that both have the flag would take it from each other for ever.
    this.#takeOver = false;
    log.info("lease acquired", {
      event: "lease.acquired",
      subnet: formatCidr(lease.subnet),
      publicIp: formatIpv4(lease.attributes.publicIp),
      how,
      expires: formatExpiry(this.#leaseClock.expiresAtMs),
    });
    this.#enter({ type: "acquired" });
  }

  /**
   * Reads our key. Creates it again if it is gone; moves to another subnet if
   * another host has it.
   *
   * @returns the revision from which to watch.
   */
  async #verify(signal: AbortSignal): Promise<string> {
    for (let tries = 0; tries < MAX_QUICK_TRIES; tries++) {
      const { subnet } = this.#own.lease!;
      const { revision, ...found } = await this.#registry.get(subnet, signal);
      const { lease, rejected } = found;
      if (
        lease !== undefined && this.#own.isOurs(lease) &&
        this.#own.isAsLeft(lease)
      ) {
        this.#confirm();
        return revision;
      }
      const written = await this.#recover({ lease, rejected }, signal);
      if (written !== undefined) return written.modRevision;
    }
    throw new UnstableKeyError(this.#own.lease!.subnet);
  }

  /** Writes what must be written; `undefined` if another host was faster. */
  async #recover(
    { lease, rejected }: Found,
    signal: AbortSignal,
  ): Promise<Lease | undefined> {
    const own = this.#own;
    if (lease !== undefined && !own.isOurs(lease)) {
      this.#enter({ type: "taken", cause: takenBy(lease) });
      return await this.#acquireAgain(signal);
    }
    const entry = lease ?? rejected?.version;
    if (entry === undefined) {
      this.#enter({ type: "lost", cause: deleted(own.lease!.subnet) });
      return await this.#acquireAgain(signal);
    }
    if (rejected !== undefined) {
      this.#enter({ type: "lost", cause: unreadable(rejected) });
    }
    if (lease !== undefined && !own.hasOurValue(lease)) {
      log.warn("another program has changed this host's lease", {
        event: "lease.restored",
        subnet: formatCidr(lease.subnet),
        found: encodeLeaseValue(lease.attributes),
      });
    }
    if (own.mayWriteOver(entry)) {
      // Written by an uncertain write of ours, or by flannel or a person on
      // this host.
      return await this.#write(entry, signal);
    }
    if (rejected !== undefined && !await this.#registry.remove(entry, signal)) {
      return undefined;
    }
    return await this.#acquireAgain(signal);
  }

  /**
   * Acquires the subnet in use again, or another one if another host has it;
   * `undefined` if another host was faster.
   */
  async #acquireAgain(signal: AbortSignal): Promise<Lease | undefined> {
    const before = this.#own.lease!;
    const since = this.#leaseClock.mark();
    const acquired = await this.#tryAcquire(this.#own.wanted, signal);
    if (acquired === undefined) return undefined;
    const { lease } = acquired;
    const isSame = equalCidr(lease.subnet, before.subnet);
    if (isSame && this.#state.phase !== "conflict") {
      this.#hold(lease, since);
      this.#confirm();
    } else {
      this.#begin(acquired, since);
    }
    return lease;
  }

  /**
   * Our key is gone or was created again by another host, and the subnet is not
   * available.
   */
  #giveUp({ subnet }: Lease): void {
    if (this.#state.phase === "conflict") return;
    this.#enter({ type: "taken", cause: overlapped(subnet) });
  }

  /**
   * Overwrites a key of ours with a new TTL and keeps fields that another
   * version of Loden wrote. `undefined` if it has changed.
   */
  async #write(
    entry: LeaseVersion & Partial<Pick<Lease, "attributes">>,
    signal: AbortSignal,
  ): Promise<Lease | undefined> {
    const since = this.#leaseClock.mark();
    const unknownFields = entry.attributes?.unknownFields;
    const written = await this.#registry.renew(
      entry,
      {
        ...this.#own.wanted,
        ...(unknownFields === undefined ? {} : { unknownFields }),
      },
      this.#times.ttlSeconds,
      signal,
    );
    if (written === undefined) return undefined;
    this.#hold(written, since);
    this.#confirm();
    return written;
  }

  /**
   * Watches the key and renews it when that is due or its value must change;
   * returns if the key must be read again, throws if etcd fails.
   */
  async #untilInDoubt(revision: string, signal: AbortSignal): Promise<void> {
    const inner = new AbortController();
    const either = AbortSignal.any([signal, inner.signal]);
    const tasks = [this.#watchKey(revision, either), this.#renewOnTime(either)];
    try {
      await Promise.race(tasks);
    } finally {
      inner.abort();
      await Promise.allSettled(tasks);
    }
  }

  /** Returns at the first change that is not our own. */
  async #watchKey(revision: string, signal: AbortSignal): Promise<void> {
    const { subnet } = this.#own.lease!;
    const changes = this.#registry.watch(revision, signal, subnet);
    try {
      for await (const events of changes) {
        const isOwnDoing = events.every((event) =>
          event.type === "put" && this.#own.isOurs(event.lease) &&
          this.#own.hasOurValue(event.lease)
        );
        if (!isOwnDoing) return;
      }
    } catch (error) {
      // The history was compacted; reading the key again is enough.
      if (error instanceof RegistryError && error.fault === "compacted") return;
      throw error;
    }
  }

  /** Returns if the key was not as we left it. */
  async #renewOnTime(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#untilDueOrChanged(signal);
      this.#enter({ type: "renewal-begun" });
      const renewed = await this.#write(this.#own.lease!, signal);
      if (renewed === undefined) return;
      log.info("lease renewed", {
        event: "lease.renewed",
        subnet: formatCidr(renewed.subnet),
        dataPath: renewed.attributes.dataPath,
        expires: formatExpiry(this.#leaseClock.expiresAtMs),
      });
    }
  }

  async #untilDueOrChanged(signal: AbortSignal): Promise<void> {
    if (!this.#own.saysWhatItMust) return;
    const changed = new AbortController();
    const either = AbortSignal.any([signal, changed.signal]);
    const end = this.#own.onOutdated(() => changed.abort());
    try {
      await this.#leaseClock.untilDue(either);
    } catch (error) {
      if (signal.aborted || !changed.signal.aborted) throw error;
    } finally {
      end();
    }
  }

  #hold(lease: Lease, since: ReturnType<LeaseClock["mark"]>): void {
    this.#own.hold(lease);
    this.#previous = [{ subnet: lease.subnet, source: "running" }];
    this.#leaseClock.restart(since, isReservation(lease));
    const { expiresAtMs } = this.#leaseClock;
    this.#store?.saveLease({
      subnet: lease.subnet,
      publicIp: lease.attributes.publicIp,
      ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    });
    this.#tell();
  }

  /** The key is ours. If a write is due, it must succeed first. */
  #confirm(): void {
    if (this.#leaseClock.isDue || !this.#own.saysWhatItMust) return;
    this.#pauses.reset();
    this.#enter({ type: "confirmed" });
  }

  /** Throws only when the signal is aborted. */
  async #failAndPause(error: unknown, signal: AbortSignal): Promise<void> {
    const cause = failed(error);
    this.#enter({ type: "failed", cause }, error);
    const pauseMs = this.#pauses.next(cause.code);
    if (this.#own.lease !== undefined && this.#leaseClock.isExpired) {
      this.#enter({ type: "ttl-passed" });
    }
    await this.#clock.sleep(pauseMs, signal);
  }

  #enter(transition: LeaseTransition, error?: unknown): void {
    const before = this.#state;
    this.#state = nextLeaseState(before, transition, this.#clock.now());
    if (this.#state === before) return;
    const { lease } = this.#own;
    if (isNews(before, this.#state)) {
      logLeaseState(before, this.#state, {
        ...(lease === undefined ? {} : { subnet: lease.subnet }),
        expiresAtMs: this.#leaseClock.expiresAtMs,
        error,
      });
    }
    this.#tell();
  }

  #tell(): void {
    const { status } = this;
    for (const listener of this.#listeners) listener(status);
  }
}
