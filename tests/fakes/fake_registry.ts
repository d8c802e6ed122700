/**
 * etcd's part for leases, in memory: revisions, leases with a TTL, history and
 * watches. It passes the same contract as the real registry.
 *
 * @module
 */

import { abortable } from "@std/async/abortable";
import type { Clock } from "../../linux/clock.ts";
import type { Cidr } from "../../net/cidr.ts";
import { RegistryError, type RegistryFault } from "../../lease/errors.ts";
import {
  isReservation,
  type Lease,
  type LeaseAttributes,
  type LeaseVersion,
} from "../../lease/lease.ts";
import {
  decodeLeaseValue,
  encodeLeaseValue,
  leaseName,
  parseLeaseName,
} from "../../lease/lease_codec.ts";
import type {
  LeaseEvent,
  LeaseLookup,
  LeaseRegistry,
  LeaseSnapshot,
  RejectedLease,
  RevisionSpan,
  StoredConfig,
} from "../../lease/registry.ts";
import { FakeClock } from "./fake_clock.ts";

interface StoredKey {
  readonly value: string;
  readonly etcdLeaseId: string;
  readonly createRevision: number;
  readonly modRevision: number;
}

interface Change {
  readonly revision: number;
  readonly name: string;
  /** `undefined`: deleted. */
  readonly stored: StoredKey | undefined;
}

const PREFIX = "/coreos.com/network/subnets/";

/** The store that several registries, one per host, share. */
export class FakeEtcd {
  readonly clock: Clock;
  /** Keys below `subnets/`, by name. */
  #keys = new Map<string, StoredKey>();
  #config: StoredKey | undefined;
  #leases = new Map<string, number>();
  #history: Change[] = [];
  #compacted = 0;
  #revision = 1;
  #nextLeaseId = 1;
  #wake = Promise.withResolvers<void>();
  #watchBreak: RegistryFault | undefined;
  /** Host ids that answer probes. */
  readonly answering = new Set<string>();
  /** Raised with every call while it is set: etcd is away. */
  fault: RegistryFault | undefined;
  /** Called before each operation with its name; may throw or wait. */
  before: (operation: string) => void | Promise<void> = () => {};
  /**
   * Called after an operation was carried out: throwing makes it uncertain,
   * waiting makes its answer late.
   */
  after: (operation: string) => void | Promise<void> = () => {};

  constructor(clock: Clock = new FakeClock()) {
    this.clock = clock;
  }

  get revision(): number {
    return this.#revision;
  }

  get etcdLeaseCount(): number {
    this.expire();
    return this.#leases.size;
  }

  get names(): string[] {
    this.expire();
    return [...this.#keys.keys()].sort();
  }

  value(name: string): string | undefined {
    this.expire();
    return this.#keys.get(name)?.value;
  }

  key(name: string): StoredKey | undefined {
    this.expire();
    return this.#keys.get(name);
  }

  entries(): [string, StoredKey][] {
    this.expire();
    return [...this.#keys].sort(([a], [b]) => a < b ? -1 : 1);
  }

  get config(): StoredKey | undefined {
    return this.#config;
  }

  putConfig(value: string): void {
    const modRevision = ++this.#revision;
    const { createRevision = modRevision } = this.#config ?? {};
    this.#config = { value, etcdLeaseId: "0", createRevision, modRevision };
    this.#signalWatches();
  }

  /** What `etcdctl del <prefix>/config` does. */
  deleteConfig(): void {
    this.#config = undefined;
    this.#revision++;
    this.#signalWatches();
  }

  /** What `etcdctl put` does: no conditions, no TTL unless given. */
  put(name: string, value: string, etcdLeaseId = "0"): StoredKey {
    const modRevision = ++this.#revision;
    const { createRevision = modRevision } = this.#keys.get(name) ?? {};
    const stored = { value, etcdLeaseId, createRevision, modRevision };
    this.#keys.set(name, stored);
    this.#record(name, stored);
    return stored;
  }

  /** What `etcdctl del` does. */
  delete(name: string): void {
    if (!this.#keys.delete(name)) return;
    this.#revision++;
    this.#record(name, undefined);
  }

  grant(ttlSeconds: number): string {
    const id = String(this.#nextLeaseId++);
    this.#leases.set(id, this.clock.monotonic() + ttlSeconds * 1_000);
    return id;
  }

  /** Revokes unless a key hangs on it. */
  release(id: string): void {
    for (const { etcdLeaseId } of this.#keys.values()) {
      if (etcdLeaseId === id) return;
    }
    this.#leases.delete(id);
  }

  /** Ends an etcd lease with all of its keys. */
  revoke(id: string): void {
    this.#leases.delete(id);
    for (const [name, { etcdLeaseId }] of [...this.#keys]) {
      if (etcdLeaseId === id) this.delete(name);
    }
  }

  /** `undefined` when there is no such etcd lease. */
  remainingSeconds(id: string): number | undefined {
    this.expire();
    const endMs = this.#leases.get(id);
    return endMs && Math.ceil((endMs - this.clock.monotonic()) / 1_000);
  }

  /** Does what the passing of time has made due. */
  expire(): void {
    const now = this.clock.monotonic();
    for (const [id, expiresAt] of [...this.#leases]) {
      if (expiresAt <= now) this.revoke(id);
    }
  }

  /** Forgets the history up to now. */
  compact(): void {
    this.#compacted = this.#revision;
    this.#history = [];
    this.#signalWatches();
  }

  /** The data directory is gone: empty, at revision 1. */
  wipe(): void {
    this.#keys.clear();
    this.#leases.clear();
    this.#history = [];
    this.#config = undefined;
    this.#compacted = 0;
    this.#revision = 1;
    this.breakWatches("unreachable");
  }

  /** Every watch ends with the fault; new ones work. */
  breakWatches(fault: RegistryFault): void {
    this.#watchBreak = fault;
    this.#signalWatches();
    this.#watchBreak = undefined;
  }

  /** Resolves with what breaks the watches, or with nothing at the next change. */
  async nextSignal(): Promise<RegistryFault | undefined> {
    return await (this.#wake.promise as Promise<RegistryFault | undefined>);
  }

  /** @throws "compacted" when changes after `revision` are no longer all known. */
  changesAfter(revision: number): Change[] {
    if (revision < this.#compacted) throw this.error("compacted", "watch");
    return this.#history.filter((change) => change.revision > revision);
  }

  error(fault: RegistryFault, what: string, uncertain = false): RegistryError {
    return new RegistryError(fault, what, {
      endpoints: ["http://fake:2379"],
      detail: "a test asked for it",
      uncertain,
    });
  }

  #record(name: string, stored: StoredKey | undefined): void {
    this.#history.push({ revision: this.#revision, name, stored });
    this.#signalWatches();
  }

  #signalWatches(): void {
    const { resolve } = this.#wake;
    this.#wake = Promise.withResolvers<void>();
    (resolve as (fault: RegistryFault | undefined) => void)(this.#watchBreak);
  }
}

/** One host's view of a {@linkcode FakeEtcd}. */
export class FakeRegistry implements LeaseRegistry {
  readonly #etcd: FakeEtcd;
  readonly #closed = new AbortController();

  constructor(etcd: FakeEtcd) {
    this.#etcd = etcd;
  }

  readConfig(signal: AbortSignal): Promise<StoredConfig | undefined> {
    return this.#run("readConfig", signal, () => {
      const config = this.#etcd.config;
      return config &&
        { text: config.value, modRevision: String(config.modRevision) };
    });
  }

  async *watchConfig(
    signal: AbortSignal,
  ): AsyncGenerator<StoredConfig | undefined> {
    const either = AbortSignal.any([signal, this.#closed.signal]);
    let seen: StoredConfig | undefined | "nothing yet" = "nothing yet";
    for (;;) {
      const next = this.#etcd.nextSignal();
      const config = await this.readConfig(either);
      const isNews = seen === "nothing yet" ||
        seen?.modRevision !== config?.modRevision;
      seen = config;
      if (isNews) yield config;
      const broken = await abortable(next, either);
      if (broken !== undefined) throw this.#etcd.error(broken, "watch");
    }
  }

  writeConfig(
    text: string,
    expected: StoredConfig | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    return this.#run("writeConfig", signal, () => {
      const present = this.#etcd.config;
      const matches = String(present?.modRevision) ===
        String(expected?.modRevision);
      if (matches) this.#etcd.putConfig(text);
      return matches;
    });
  }

  list(signal: AbortSignal): Promise<LeaseSnapshot> {
    return this.#run("list", signal, () => {
      const leases: Lease[] = [];
      const rejected: RejectedLease[] = [];
      for (const [name, stored] of this.#etcd.entries()) {
        const entry = read(name, stored);
        if ("attributes" in entry) leases.push(entry);
        else rejected.push(entry);
      }
      return { leases, rejected, revision: String(this.#etcd.revision) };
    });
  }

  listWritten(
    { after, upTo }: RevisionSpan,
    signal: AbortSignal,
  ): Promise<Lease[]> {
    return this.#run("listWritten", signal, () => {
      const written = new Map<string, StoredKey | undefined>();
      for (const change of this.#etcd.changesAfter(Number(after))) {
        if (change.revision > Number(upTo)) break;
        written.set(change.name, change.stored);
      }
      return [...written].flatMap(([name, stored]) => {
        const entry = stored && read(name, stored);
        return entry !== undefined && "attributes" in entry ? entry : [];
      });
    });
  }

  get(subnet: Cidr, signal: AbortSignal): Promise<LeaseLookup> {
    return this.#run("get", signal, () => {
      const name = leaseName(subnet);
      const stored = this.#etcd.key(name);
      const revision = String(this.#etcd.revision);
      if (stored === undefined) return { revision };
      const entry = read(name, stored);
      return "attributes" in entry
        ? { lease: entry, revision }
        : { rejected: entry, revision };
    });
  }

  create(
    subnet: Cidr,
    attributes: LeaseAttributes,
    ttlSeconds: number,
    signal: AbortSignal,
  ): Promise<Lease | undefined> {
    return this.#run("create", signal, () => {
      const name = leaseName(subnet);
      if (this.#etcd.key(name) !== undefined) return undefined;
      return this.#put(name, subnet, attributes, this.#etcd.grant(ttlSeconds));
    });
  }

  renew(
    version: LeaseVersion,
    attributes: LeaseAttributes,
    ttlSeconds: number,
    signal: AbortSignal,
  ): Promise<Lease | undefined> {
    return this.#run("renew", signal, () => {
      if (!this.#isUnchanged(version)) return undefined;
      const etcdLeaseId = isReservation(version)
        ? "0"
        : this.#etcd.grant(ttlSeconds);
      const lease = this.#put(
        version.name,
        version.subnet,
        attributes,
        etcdLeaseId,
      );
      this.#etcd.release(version.etcdLeaseId);
      return lease;
    });
  }

  remainingSeconds(
    { etcdLeaseId }: LeaseVersion,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    return this.#run(
      "remainingSeconds",
      signal,
      () => this.#etcd.remainingSeconds(etcdLeaseId),
    );
  }

  remove(version: LeaseVersion, signal: AbortSignal): Promise<boolean> {
    return this.#run("remove", signal, () => {
      if (!this.#isUnchanged(version)) return false;
      this.#etcd.delete(version.name);
      this.#etcd.release(version.etcdLeaseId);
      return true;
    });
  }

  async *watch(
    revision: string,
    signal: AbortSignal,
    only?: Cidr,
  ): AsyncGenerator<readonly LeaseEvent[]> {
    const either = AbortSignal.any([signal, this.#closed.signal]);
    await this.#run("watch", signal, () => {});
    let seen = Number(revision);
    for (;;) {
      either.throwIfAborted();
      const next = this.#etcd.nextSignal();
      const changes = this.#etcd.changesAfter(seen);
      seen = changes.at(-1)?.revision ?? seen;
      const events = changes.flatMap((change) => {
        const wanted = only === undefined || change.name === leaseName(only);
        return wanted ? toEvent(change) ?? [] : [];
      });
      if (events.length > 0) yield events;
      const broken = await abortable(next, either);
      if (broken !== undefined) throw this.#etcd.error(broken, "watch");
    }
  }

  reconnect(): void {
    this.#etcd.breakWatches("unreachable");
  }

  /** A question lies there for `patienceMs`: who listens later answers it too. */
  async isAlive(
    hostId: string,
    patienceMs: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const etcd = this.#etcd;
    const answers = () => etcd.answering.has(hostId);
    await this.#run("isAlive", signal, () => {});
    const endMs = etcd.clock.monotonic() + patienceMs;
    while (!answers() && etcd.clock.monotonic() < endMs) {
      const stepMs = Math.min(100, endMs - etcd.clock.monotonic());
      await etcd.clock.sleep(stepMs, signal);
    }
    return answers();
  }

  async answerFor(hostId: string, signal: AbortSignal): Promise<never> {
    const { answering } = this.#etcd;
    await this.#run("answerFor", signal, () => answering.add(hostId));
    const either = AbortSignal.any([signal, this.#closed.signal]);
    try {
      for (;;) {
        const next = this.#etcd.nextSignal();
        const broken = await Promise.race([next, rejectedBy(either)]);
        if (broken !== undefined) throw this.#etcd.error(broken, "answerFor");
      }
    } finally {
      answering.delete(hostId);
    }
  }

  close(): void {
    this.#closed.abort(this.#etcd.error("unreachable", "go on after close"));
  }

  #isUnchanged({ name, modRevision }: LeaseVersion): boolean {
    return String(this.#etcd.key(name)?.modRevision) === modRevision;
  }

  #put(
    name: string,
    subnet: Cidr,
    attributes: LeaseAttributes,
    etcdLeaseId: string,
  ): Lease {
    const { createRevision, modRevision } = this.#etcd.put(
      name,
      encodeLeaseValue(attributes),
      etcdLeaseId,
    );
    return {
      name,
      subnet,
      etcdLeaseId,
      createRevision: String(createRevision),
      modRevision: String(modRevision),
      attributes,
    };
  }

  /** Each call takes a moment, as one over a network does. */
  async #run<T>(
    operation: string,
    signal: AbortSignal,
    execute: () => T,
  ): Promise<T> {
    signal.throwIfAborted();
    this.#closed.signal.throwIfAborted();
    await Promise.resolve();
    await this.#etcd.before(operation);
    signal.throwIfAborted();
    const { fault } = this.#etcd;
    if (fault !== undefined) throw this.#etcd.error(fault, operation);
    const result = execute();
    await this.#etcd.after(operation);
    signal.throwIfAborted();
    return result;
  }
}

function read(name: string, stored: StoredKey): Lease | RejectedLease {
  const key = PREFIX + name;
  const subnet = parseLeaseName(name);
  if (!subnet.ok) return { key, reason: subnet.reason };
  const version: LeaseVersion = {
    name,
    subnet: subnet.value,
    etcdLeaseId: stored.etcdLeaseId,
    createRevision: String(stored.createRevision),
    modRevision: String(stored.modRevision),
  };
  const attributes = decodeLeaseValue(stored.value);
  return attributes.ok
    ? { ...version, attributes: attributes.value }
    : { key, reason: attributes.reason, version };
}

function toEvent({ name, revision, stored }: Change): LeaseEvent | undefined {
  const at = String(revision);
  if (stored === undefined) {
    const subnet = parseLeaseName(name);
    return subnet.ok
      ? { type: "delete", name, subnet: subnet.value, revision: at }
      : undefined;
  }
  const entry = read(name, stored);
  return "attributes" in entry
    ? { type: "put", lease: entry, revision: at }
    : { type: "rejected", rejected: entry, revision: at };
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), {
      once: true,
    });
  });
}
