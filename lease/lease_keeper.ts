/**
 * This host's lease: acquired, renewed, watched, taken again.
 *
 * @module
 */

import { getLogger, type Logger } from "@logtape/logtape";
import { describeError, LodenError } from "../errors.ts";
import type { Clock } from "../linux/clock.ts";
import type { RandomSource } from "../linux/random.ts";
import { formatCidr } from "../net/cidr.ts";
import { formatIpv4 } from "../net/ipv4.ts";
import type { SubnetPool } from "../net/subnet_pool.ts";
import {
  type AcquisitionStep,
  planAcquisition,
  type PreviousSubnet,
} from "./acquisition_plan.ts";
import { allocateSubnet } from "./allocator.ts";
import { RegistryError, RestlessKeyError } from "./errors.ts";
import {
  isReservation,
  type Lease,
  type LeaseAdvertisement,
  type LeaseAttributes,
} from "./lease.ts";
import { LeaseClock, type LeaseTimes } from "./lease_clock.ts";
import { encodeLeaseValue } from "./lease_codec.ts";
import { formatExpiry, logLeaseState } from "./lease_log.ts";
import {
  initialLeaseState,
  type LeaseCause,
  type LeaseHappening,
  type LeaseState,
  nextLeaseState,
} from "./lease_state.ts";
import type { LeaseRegistry, RejectedLease } from "./registry.ts";
import { RegistryPauses } from "./registry_pauses.ts";
import type { StateStore } from "./state_store.ts";

/** The keeper's edges. */
export interface LeaseKeeperComponents {
  readonly registry: LeaseRegistry;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Told of every confirmed lease. */
  readonly store?: Pick<StateStore, "saveLease">;
  readonly log?: Logger;
}

/** How the keeper behaves. */
export interface LeaseKeeperOptions extends Partial<LeaseTimes> {
  /** Subnets that this host has had, the most trusted first. */
  readonly previous?: readonly PreviousSubnet[];
}

/** All that is known of the lease. */
export interface LeaseStatus {
  readonly state: LeaseState;
  readonly lease: Lease | undefined;
  /** Wall clock, milliseconds since 1970; `undefined` for a reservation. */
  readonly expiresAtMs: number | undefined;
}

/** flannel's duration (compat 3.3) and its default margin (compat 1.3). */
const DEFAULT_TTL_SECONDS = 86_400;
const DEFAULT_RENEW_MARGIN_SECONDS = 3_600;

/** Lost races and changes under our hands that are answered without a pause. */
const MAX_QUICK_TRIES = 10;
const RACE_LOST = "lease.race-lost";

/**
 * Acquires a lease and keeps it. Nothing that etcd does ends it: every trouble is
 * a {@linkcode LeaseState}, told once per change to the log and the listeners.
 */
export class LeaseKeeper {
  readonly #registry: LeaseRegistry;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #store: Pick<StateStore, "saveLease"> | undefined;
  readonly #log: Logger;
  readonly #times: LeaseTimes;
  readonly #previous: readonly PreviousSubnet[];
  readonly #leaseClock: LeaseClock;
  readonly #pauses: RegistryPauses;
  readonly #listeners = new Set<(status: LeaseStatus) => void>();
  #state: LeaseState;
  #lease: Lease | undefined;
  /** What the value must say; `undefined`: what it was acquired with. */
  #advertisement: LeaseAdvertisement | undefined;
  /** Set while the keeper waits for something to write. */
  #onAdvertised: (() => void) | undefined;

  constructor(
    components: LeaseKeeperComponents,
    options: LeaseKeeperOptions = {},
  ) {
    const { registry, clock, random, store, log } = components;
    this.#registry = registry;
    this.#clock = clock;
    this.#random = random;
    this.#store = store;
    this.#log = log ?? getLogger(["loden", "lease"]);
    this.#times = {
      ttlSeconds: options.ttlSeconds ?? DEFAULT_TTL_SECONDS,
      renewMarginSeconds: options.renewMarginSeconds ??
        DEFAULT_RENEW_MARGIN_SECONDS,
    };
    this.#previous = options.previous ?? [];
    this.#leaseClock = new LeaseClock(clock, random, this.#times);
    this.#pauses = new RegistryPauses(random);
    this.#state = initialLeaseState(clock.now());
  }

  get status(): LeaseStatus {
    return {
      state: this.#state,
      lease: this.#lease,
      expiresAtMs: this.#lease && this.#leaseClock.expiresAtMs,
    };
  }

  /**
   * Calls `listener` at every change of phase or cause, and when the lease is
   * renewed. @returns what ends that.
   */
  onStatus(listener: (status: LeaseStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * What the lease's value must say from now on. It is written by {@linkcode run},
   * and before that by an {@linkcode acquire} that is still under way; not at all
   * when the value says so already.
   */
  advertise(advertisement: LeaseAdvertisement): void {
    this.#advertisement = advertisement;
    this.#onAdvertised?.();
  }

  /**
   * Waits, through every fault of etcd and through an exhausted pool, for a lease
   * on a subnet of `pool` (compat 3.4, order of search as in design.md).
   *
   * @throws only the signal's reason.
   */
  async acquire(
    pool: SubnetPool,
    attributes: LeaseAttributes,
    signal: AbortSignal,
  ): Promise<Lease> {
    for (let quickTries = 0;;) {
      signal.throwIfAborted();
      try {
        const lease = await this.#tryAcquire(pool, attributes, signal);
        if (lease !== undefined) return lease;
        if (++quickTries < MAX_QUICK_TRIES) continue;
        quickTries = 0;
        await this.#clock.sleep(this.#pauses.next(RACE_LOST), signal);
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
    if (this.#lease === undefined) {
      throw new TypeError("Cannot keep a lease: acquire must come first");
    }
    while (!signal.aborted) {
      try {
        const revision = await this.#verify(signal);
        await this.#untilInDoubt(revision, signal);
      } catch (error) {
        if (signal.aborted) return;
        // It rejects when the signal is aborted, which ends the loop.
        await this.#failAndPause(error, signal).catch(() => {});
      }
    }
  }

  /** One listing and one write; `undefined` when somebody was faster. */
  async #tryAcquire(
    pool: SubnetPool,
    acquiredWith: LeaseAttributes,
    signal: AbortSignal,
  ): Promise<Lease | undefined> {
    const attributes = { ...acquiredWith, ...this.#advertisement };
    const snapshot = await this.#registry.list(signal);
    const { discard, step } = planAcquisition(
      snapshot,
      pool,
      attributes,
      this.#previous,
    );
    for (const lease of discard) {
      if (!await this.#registry.remove(lease, signal)) return undefined;
      this.#log.info(
        "lease of this host was deleted: it is not used any more",
        {
          event: "lease.discarded",
          subnet: formatCidr(lease.subnet),
          key: lease.name,
        },
      );
    }
    const since = this.#leaseClock.mark();
    const lease = await this.#take(pool, step, attributes, signal);
    if (lease === undefined) {
      this.#log.debug("another host was faster", { event: RACE_LOST });
      return undefined;
    }
    this.#hold(lease, since);
    this.#pauses.reset();
    this.#log.info("lease acquired", {
      event: "lease.acquired",
      subnet: formatCidr(lease.subnet),
      publicIp: formatIpv4(attributes.publicIp),
      how: step.type === "allocate" ? "allocated" : step.reason,
      expires: formatExpiry(this.#leaseClock.expiresAtMs),
    });
    this.#happen({ type: "acquired" });
    return lease;
  }

  #take(
    pool: SubnetPool,
    step: AcquisitionStep,
    attributes: LeaseAttributes,
    signal: AbortSignal,
  ): Promise<Lease | undefined> {
    if (step.type === "renew") {
      if (step.reason === "taken-over") this.#logTakeOver(step.lease);
      const { dataPath } = step.lease.attributes;
      // What this host said last holds until its data path has started: programs
      // in the kernel outlive the agent.
      const kept = step.reason === "own" && dataPath !== undefined
        ? { dataPath }
        : {};
      return this.#write(step.lease, { ...kept, ...attributes }, signal);
    }
    const subnet = step.type === "create"
      ? step.subnet
      : allocateSubnet(pool, step.held, this.#random);
    const { ttlSeconds } = this.#times;
    return this.#registry.create(subnet, attributes, ttlSeconds, signal);
  }

  #logTakeOver(lease: Lease): void {
    this.#log.warn(
      "lease with this host's PublicIP is taken over from another host id",
      {
        event: "lease.taken-over",
        subnet: formatCidr(lease.subnet),
        publicIp: formatIpv4(lease.attributes.publicIp),
        fromHostId: lease.attributes.hostId,
      },
    );
  }

  /** Writes over a key of ours; what an unknown version of us wrote is kept. */
  #write(
    lease: Lease,
    attributes: LeaseAttributes,
    signal: AbortSignal,
  ): Promise<Lease | undefined> {
    const { unknownFields } = lease.attributes;
    return this.#registry.renew(
      lease,
      unknownFields === undefined
        ? attributes
        : { ...attributes, unknownFields },
      this.#times.ttlSeconds,
      signal,
    );
  }

  /**
   * Reads our key and makes it ours again if it is nobody's.
   *
   * @returns the revision from which to watch it.
   */
  async #verify(signal: AbortSignal): Promise<string> {
    for (let tries = 0; tries < MAX_QUICK_TRIES; tries++) {
      const ours = this.#lease!;
      const { lease, rejected, revision } = await this.#registry.get(
        ours.subnet,
        signal,
      );
      if (lease !== undefined && !this.#isOurs(lease)) {
        this.#happen({ type: "taken", cause: this.#describeHolder(lease) });
        return revision;
      }
      if (lease !== undefined && this.#isKnown(lease)) {
        this.#confirm();
        return revision;
      }
      const since = this.#leaseClock.mark();
      const written = await this.#restore({ lease, rejected }, signal);
      if (written === undefined) continue;
      this.#hold(written, since);
      this.#confirm();
      return written.modRevision;
    }
    throw new RestlessKeyError(this.#lease!.subnet);
  }

  /** Writes our key again; `undefined` when somebody was faster. */
  async #restore(
    { lease, rejected }: {
      readonly lease: Lease | undefined;
      readonly rejected: RejectedLease | undefined;
    },
    signal: AbortSignal,
  ): Promise<Lease | undefined> {
    const ours = this.#lease!;
    const { subnet } = ours;
    const attributes = this.#wanted();
    const { ttlSeconds } = this.#times;
    if (lease !== undefined) {
      // Ours, but not as we left it: an uncertain write, or a restored backup.
      // Its TTL is unknown, so it gets a new one.
      return await this.#write(lease, attributes, signal);
    }
    if (rejected?.version !== undefined) {
      this.#happen({
        type: "lost",
        cause: {
          code: "lease.unreadable",
          message: `the key ${rejected.key} cannot be read: ${rejected.reason}`,
        },
      });
      const { version } = rejected;
      if (!isReservation(version) || isReservation(ours)) {
        return await this.#registry.renew(
          version,
          attributes,
          ttlSeconds,
          signal,
        );
      }
      // `etcdctl put` takes the TTL off. Written over, the key would look like a
      // reservation and never end.
      if (!await this.#registry.remove(version, signal)) return undefined;
    } else {
      this.#happen({
        type: "lost",
        cause: {
          code: "lease.deleted",
          message: `the key of ${formatCidr(subnet)} is gone from etcd`,
        },
      });
    }
    return await this.#registry.create(subnet, attributes, ttlSeconds, signal);
  }

  /**
   * Watches the key and writes it again when that is due or its value must
   * change; returns when the key must be read again, throws when etcd fails.
   */
  async #untilInDoubt(revision: string, signal: AbortSignal): Promise<void> {
    const inner = new AbortController();
    const either = AbortSignal.any([signal, inner.signal]);
    const tasks = [this.#watchKey(revision, either)];
    if (this.#state.phase !== "conflict") tasks.push(this.#renewOnTime(either));
    try {
      await Promise.race(tasks);
    } finally {
      inner.abort();
      await Promise.allSettled(tasks);
    }
  }

  /** Returns at the first change that is not our own doing. */
  async #watchKey(revision: string, signal: AbortSignal): Promise<void> {
    const { subnet } = this.#lease!;
    const changes = this.#registry.watch(revision, signal, subnet);
    try {
      for await (const events of changes) {
        const isOwnDoing = events.every((event) =>
          event.type === "put" && this.#isOurs(event.lease) &&
          this.#hasOurValue(event.lease)
        );
        if (!isOwnDoing) return;
      }
    } catch (error) {
      // The history is gone, not etcd: reading the key again is all it takes.
      if (error instanceof RegistryError && error.fault === "compacted") return;
      throw error;
    }
  }

  /** Returns when the key was not as we left it. */
  async #renewOnTime(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#untilDueOrChanged(signal);
      this.#happen({ type: "renewal-begun" });
      const since = this.#leaseClock.mark();
      const lease = this.#lease!;
      const renewed = await this.#write(lease, this.#wanted(), signal);
      if (renewed === undefined) return;
      this.#hold(renewed, since);
      this.#log.info("lease renewed", {
        event: "lease.renewed",
        subnet: formatCidr(renewed.subnet),
        dataPath: renewed.attributes.dataPath,
        expires: formatExpiry(this.#leaseClock.expiresAtMs),
      });
      this.#confirm();
    }
  }

  async #untilDueOrChanged(signal: AbortSignal): Promise<void> {
    if (!this.#saysWhatItMust()) return;
    const changed = new AbortController();
    this.#onAdvertised = () => {
      if (!this.#saysWhatItMust()) changed.abort();
    };
    const either = AbortSignal.any([signal, changed.signal]);
    try {
      await this.#leaseClock.untilDue(either);
    } catch (error) {
      if (signal.aborted || !changed.signal.aborted) throw error;
    } finally {
      this.#onAdvertised = undefined;
    }
  }

  #hold(lease: Lease, since: ReturnType<LeaseClock["mark"]>): void {
    this.#lease = lease;
    this.#leaseClock.restart(since, isReservation(lease));
    const { expiresAtMs } = this.#leaseClock;
    this.#store?.saveLease({
      subnet: lease.subnet,
      publicIp: lease.attributes.publicIp,
      ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    });
    this.#tell();
  }

  /** The key is ours. A write that is due has to succeed first, too. */
  #confirm(): void {
    if (this.#leaseClock.isDue || !this.#saysWhatItMust()) return;
    this.#pauses.reset();
    this.#happen({ type: "confirmed" });
  }

  /** Never throws but for the signal. */
  async #failAndPause(error: unknown, signal: AbortSignal): Promise<void> {
    const cause = causeOf(error);
    this.#happen({ type: "failed", cause }, error);
    const pauseMs = this.#pauses.next(cause.code);
    if (this.#lease !== undefined && this.#leaseClock.isExpired) {
      this.#happen({ type: "ttl-passed" });
    }
    await this.#clock.sleep(pauseMs, signal);
  }

  #isOurs({ attributes }: Lease): boolean {
    const { hostId, publicIp } = this.#lease!.attributes;
    return attributes.hostId === hostId &&
      (hostId !== undefined || attributes.publicIp === publicIp);
  }

  #isKnown(lease: Lease): boolean {
    return lease.modRevision === this.#lease!.modRevision;
  }

  /** As we left it, or as we are about to. */
  #hasOurValue({ attributes }: Lease): boolean {
    const value = encodeLeaseValue(attributes);
    return value === encodeLeaseValue(this.#lease!.attributes) ||
      value === encodeLeaseValue(this.#wanted());
  }

  #wanted(): LeaseAttributes {
    return { ...this.#lease!.attributes, ...this.#advertisement };
  }

  #saysWhatItMust(): boolean {
    return encodeLeaseValue(this.#lease!.attributes) ===
      encodeLeaseValue(this.#wanted());
  }

  #describeHolder({ subnet, attributes }: Lease): LeaseCause {
    const holder = attributes.hostId === undefined
      ? "which names no host id (flannel?)"
      : `with host id ${attributes.hostId}`;
    return {
      code: "lease.taken",
      message: `${formatCidr(subnet)} is now held by ${
        formatIpv4(attributes.publicIp)
      }, ${holder}`,
    };
  }

  #happen(happening: LeaseHappening, error?: unknown): void {
    const before = this.#state;
    this.#state = nextLeaseState(before, happening, this.#clock.now());
    if (this.#state === before) return;
    logLeaseState(this.#log, before, this.#state, {
      ...(this.#lease === undefined ? {} : { subnet: this.#lease.subnet }),
      expiresAtMs: this.#leaseClock.expiresAtMs,
      error,
    });
    this.#tell();
  }

  #tell(): void {
    const { status } = this;
    for (const listener of this.#listeners) listener(status);
  }
}

function causeOf(error: unknown): LeaseCause {
  return {
    code: error instanceof LodenError ? error.code : "lease.unexpected",
    message: describeError(error),
  };
}
