/**
 * Follows the other hosts' leases: lists, watches, and lists again.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { LodenError } from "../../errors.ts";
import { type Clock, slept } from "../../linux/clock.ts";
import type { RandomSource } from "../../linux/random.ts";
import { TaskQueue } from "../../linux/task_queue.ts";
import { type Cidr, formatCidr } from "../../net/cidr.ts";
import type { Peer, PeerDiff } from "../../net/peer.ts";
import { ChangingReports } from "./changing_reports.ts";
import type { Lease } from "../lease.ts";
import type { PeerLedger } from "./peer_ledger.ts";
import { type PeerSelf, PeerSet } from "./peer_set.ts";
import type {
  LeaseEvent,
  LeaseRegistry,
  LeaseSnapshot,
  RejectedLease,
} from "../registry.ts";
import { RegistryPauses } from "../registry_pauses.ts";
import type { StateStore, StoredPeer } from "../saved/state_store.ts";

const log = getLogger(["loden", "peers"]);

/** What the watch works with. */
export interface PeerWatchComponents {
  readonly registry: Pick<LeaseRegistry, "list" | "watch">;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Receives every change. */
  readonly store?: Pick<StateStore, "savePeers">;
  /** Told when etcd has confirmed which peers. */
  readonly ledger?: PeerLedger;
}

/** Callbacks and intervals. */
export interface PeerWatchOptions {
  readonly self: PeerSelf;
  /**
   * Called with every change, one at a time. If it rejects, the change is
   * repeated until it succeeds.
   */
  readonly onDiff: (diff: PeerDiff) => Promise<void>;
  /** All peers of a first listing have been reported. */
  readonly onSynced?: () => void;
  /**
   * Called when etcd fails, once per new fault; `undefined`: it works again.
   */
  readonly onFault?: (error: unknown) => void;
  /** The peers of an earlier run; reported before etcd is read. */
  readonly initialPeers?: readonly StoredPeer[];
  /** How long a peer is kept after its key disappeared. */
  readonly peerGraceSeconds?: number;
  /** Delay before a listing that lacks most peers is accepted. */
  readonly confirmSeconds?: number;
  /**
   * Whether a peer may be served by the backend of before while its new one is
   * unknown here; by default every peer. Not one that encrypts: its packets would
   * leave in clear text.
   */
  readonly mayWaitFor?: (backendType: string) => boolean;
}

const DEFAULT_GRACE_SECONDS = 600;
/** Interval between two regular listings. */
const RESYNC_MS = 300_000;
const DEFAULT_CONFIRM_SECONDS = 5;
/** How often the ages of peers are saved although nothing changes. */
const SAVE_AGES_MS = 30 * 60_000;
/** How often grace periods are checked. */
const EXPIRY_CHECK_MS = 5_000;
/** A watch that lasts this long counts as working. */
const GOOD_WATCH_MS = 5_000;
/** Pause before a failed change is repeated. */
const DELIVERY_PAUSE_MS = 1_000;
const SHOWN_SUBNETS = 5;
/** How long the config may come after the lease of a host that follows it. */
const CONFIG_PATIENCE_MS = 5_000;
const CONFIG_LOOK_MS = 10;
/**
 * After a wait in vain there is none for this long: a lease that changes its backend
 * again and again would hold up the changes of all others.
 */
const CONFIG_REST_MS = 60_000;

/**
 * Reports every change of the peers, in order. No fault of etcd ends it or
 * removes a peer, and an unreadable lease affects that lease alone.
 */
export class PeerWatch {
  readonly #registry: Pick<LeaseRegistry, "list" | "watch">;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #store: Pick<StateStore, "savePeers"> | undefined;
  readonly #ledger: PeerLedger | undefined;
  readonly #options: PeerWatchOptions;
  readonly #set: PeerSet;
  readonly #pauses: RegistryPauses;
  readonly #reports: ChangingReports;
  /** Unreadable keys, by the lease's name if there is one. */
  readonly #rejected = new Map<string, RejectedLease>();
  readonly #graceMs: number;
  #faultCode: string | undefined;
  #isSynced = false;
  /**
   * The last watch broke soon after it began. In this case a listing alone is
   * not a recovery; otherwise the log would report fault and recovery in turn.
   */
  #watchBreaks = false;
  /** The watch has held for a while, and holds. */
  #isWatching = false;
  #savedAtMs = -Infinity;
  #configRestUntilMs = -Infinity;
  /** Changes are applied one after the other. */
  readonly #changes = new TaskQueue();
  /** Of {@linkcode run}. */
  #signal: AbortSignal | undefined;
  /** Ends the watch, because the next listing is due. */
  #due = new AbortController();

  constructor(components: PeerWatchComponents, options: PeerWatchOptions) {
    const { registry, clock, random, store, ledger } = components;
    this.#registry = registry;
    this.#clock = clock;
    this.#random = random;
    this.#store = store;
    this.#ledger = ledger;
    this.#options = options;
    this.#graceMs = 1_000 *
      (options.peerGraceSeconds ?? DEFAULT_GRACE_SECONDS);
    this.#set = new PeerSet(options.self, this.#graceMs);
    this.#pauses = new RegistryPauses(random);
    this.#reports = new ChangingReports();
  }

  /** As last reported. */
  get peers(): readonly Peer[] {
    return this.#set.peers;
  }

  /** Follows until the signal is aborted, then resolves. */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    const tasks = [this.#follow(signal), this.#endGraces(signal)];
    await Promise.all(tasks);
    this.#save();
  }

  /**
   * This host has another subnet or address now: every known lease is judged
   * again at once, and then a fresh listing. Returns at once.
   */
  moveTo(self: PeerSelf): void {
    const signal = this.#signal;
    if (signal === undefined) {
      this.#set.moveTo(self);
      return;
    }
    // It rejects only when the signal is aborted, which ends everything.
    this.#change(signal, () => this.#set.moveTo(self)).catch(() => {});
    this.#due.abort();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { initialPeers = [] } = this.#options;
    await this.#change(
      signal,
      (nowMs) => this.#set.restore(initialPeers, nowMs, this.#clock.now()),
    );
    while (!signal.aborted) {
      try {
        const due = this.#due = new AbortController();
        const revision = await this.#resync(signal);
        const beganMs = this.#clock.monotonic();
        try {
          await this.#watchUntilResync(revision, due, signal);
        } finally {
          const heldMs = this.#clock.monotonic() - beganMs;
          if (heldMs >= GOOD_WATCH_MS) this.#pauses.reset();
        }
      } catch (error) {
        if (signal.aborted) return;
        await this.#failAndPause(error, signal);
      }
    }
  }

  /** Reads all leases. @returns the revision from which to watch. */
  async #resync(signal: AbortSignal): Promise<string> {
    let snapshot = await this.#registry.list(signal);
    this.#noteAllRejected(snapshot.rejected);
    await this.#untilServed(snapshot.leases, signal);
    const { live, missing } = this.#set.countMissing(snapshot.leases);
    const { leases } = snapshot;
    this.#ledger?.list(leases.map(({ subnet }) => subnet));
    // New leases are used even if others are missing.
    await this.#change(signal, () => this.#set.put(leases));
    if (!this.#isSynced) {
      this.#isSynced = true;
      this.#options.onSynced?.();
    }
    if (!this.#watchBreaks) this.#recover();
    if (missing * 2 > live) {
      snapshot = await this.#confirm(missing, live, signal);
    }
    await this.#change(
      signal,
      (nowMs) => this.#set.replace(snapshot.leases, nowMs),
    );
    this.#reportNotices();
    return snapshot.revision;
  }

  /** A listing that lacks most peers may be an etcd that is being restored. */
  async #confirm(
    missing: number,
    live: number,
    signal: AbortSignal,
  ): Promise<LeaseSnapshot> {
    const { confirmSeconds = DEFAULT_CONFIRM_SECONDS } = this.#options;
    log.warn("etcd lacks most of the peers; listing them again", {
      event: "peers.confirming",
      missing,
      known: live,
      confirmSeconds,
    });
    await this.#clock.sleep(confirmSeconds * 1_000, signal);
    const snapshot = await this.#registry.list(signal);
    this.#noteAllRejected(snapshot.rejected);
    this.#ledger?.list(snapshot.leases.map(({ subnet }) => subnet));
    return snapshot;
  }

  /** Returns when a listing is due; throws if the watch breaks. */
  async #watchUntilResync(
    revision: string,
    due: AbortController,
    signal: AbortSignal,
  ): Promise<void> {
    const either = AbortSignal.any([signal, due.signal]);
    // Plus or minus a fifth, so that a thousand hosts do not list together.
    const jitter = 0.8 + 0.4 * this.#random.below(1_000) / 1_000;
    const timers = [
      this.#clock.sleep(RESYNC_MS * jitter, either)
        .then(() => due.abort(), () => {}),
      this.#clock.sleep(GOOD_WATCH_MS, either)
        .then(() => this.#onGoodWatch(), () => {}),
    ];
    // Until it has lasted for a while.
    this.#watchBreaks = true;
    try {
      // Further events collect while these are applied.
      for await (const events of this.#registry.watch(revision, either)) {
        await this.#onEvents(events, signal);
      }
    } catch (error) {
      if (signal.aborted || !due.signal.aborted) throw error;
    } finally {
      this.#isWatching = false;
      due.abort();
      await Promise.all(timers);
    }
  }

  #onGoodWatch(): void {
    this.#watchBreaks = false;
    this.#isWatching = true;
    this.#pauses.reset();
    this.#recover();
  }

  /** Of several events for one key, the last one counts. */
  async #onEvents(
    events: readonly LeaseEvent[],
    signal: AbortSignal,
  ): Promise<void> {
    const leases = new Map<string, Lease>();
    const vanished = new Set<string>();
    const gone: Cidr[] = [];
    for (const event of events) {
      if (event.type === "put") {
        const { lease } = event;
        this.#rejected.delete(lease.name);
        vanished.delete(lease.name);
        leases.set(lease.name, lease);
        continue;
      }
      if (event.type === "delete") this.#rejected.delete(event.name);
      else this.#noteRejected(event.rejected);
      const name = event.type === "delete"
        ? event.name
        : event.rejected.version?.name;
      if (name === undefined) continue;
      leases.delete(name);
      vanished.add(name);
      const subnet = event.type === "delete"
        ? event.subnet
        : event.rejected.version?.subnet;
      if (subnet !== undefined) gone.push(subnet);
    }
    await this.#untilServed([...leases.values()], signal);
    const put = [...leases.values()].map(({ subnet }) => subnet);
    // Of several changes of one key the last one counts.
    this.#ledger?.change([], gone);
    this.#ledger?.change(put, []);
    await this.#change(
      signal,
      (nowMs) => this.#set.change([...leases.values()], [...vanished], nowMs),
    );
    this.#reportNotices();
  }

  /**
   * A host that follows a change of backend may tell so before this host has seen
   * the new config, which comes by another watch: a peer must not be lost for that.
   */
  async #untilServed(
    leases: readonly Lease[],
    signal: AbortSignal,
  ): Promise<void> {
    const { mayWaitFor = () => true } = this.#options;
    const isLost = (lease: Lease) =>
      this.#set.losesByBackend(lease) &&
      mayWaitFor(lease.attributes.backendType);
    const lost = leases.filter(isLost);
    const startedAtMs = this.#clock.monotonic();
    if (startedAtMs < this.#configRestUntilMs) return;
    while (lost.some(isLost)) {
      const nowMs = this.#clock.monotonic();
      if (nowMs - startedAtMs >= CONFIG_PATIENCE_MS) {
        this.#configRestUntilMs = nowMs + CONFIG_REST_MS;
        return;
      }
      await this.#clock.sleep(CONFIG_LOOK_MS, signal);
    }
  }

  /** Ends the grace periods of stale peers. */
  async #endGraces(signal: AbortSignal): Promise<void> {
    const pauseMs = Math.min(EXPIRY_CHECK_MS, this.#graceMs / 2 + 1);
    while (await slept(this.#clock, pauseMs, signal)) {
      this.#followAges();
      const distrusted = this.#distrusted();
      if (distrusted.length > 0) {
        await this.#change(signal, () => this.#set.drop(distrusted))
          .catch(() => {});
      }
      if (!this.#set.hasStale) continue;
      await this.#change(signal, (nowMs) => this.#set.expire(nowMs))
        .catch(() => {});
    }
  }

  #followAges(): void {
    if (this.#isWatching) this.#ledger?.confirm();
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#savedAtMs >= SAVE_AGES_MS) this.#save();
  }

  /** Peers that etcd has not confirmed for longer than the settings allow. */
  #distrusted(): Cidr[] {
    const ledger = this.#ledger;
    if (ledger === undefined || ledger.times.knownSeconds === 0) return [];
    const subnets = this.#set.peers.filter(({ stale, subnet }) =>
      !stale && !ledger.isTrusted(subnet)
    ).map(({ subnet }) => subnet);
    if (subnets.length > 0) {
      log.warn(
        "peers are no longer used: etcd has not confirmed them",
        {
          event: "peers.trust-ended",
          count: subnets.length,
          subnets: showSubnets(subnets),
        },
      );
    }
    return subnets;
  }

  #save(): void {
    this.#savedAtMs = this.#clock.monotonic();
    this.#store?.savePeers(() =>
      this.#set.stored(this.#clock.monotonic(), this.#clock.now())
        .map((peer) => {
          const confirmedAtMs = this.#ledger?.confirmedAtMs(peer.subnet);
          return confirmedAtMs === undefined
            ? peer
            : { ...peer, confirmedAtMs };
        })
    );
  }

  /** Applies a change and reports it, in the order of the calls. */
  #change(
    signal: AbortSignal,
    make: (nowMs: number) => PeerDiff,
  ): Promise<void> {
    return this.#changes.run(async () => {
      const diff = make(this.#clock.monotonic());
      if (isEmpty(diff)) return;
      this.#logStale(diff);
      await this.#deliver(diff, signal);
      this.#save();
    });
  }

  async #deliver(diff: PeerDiff, signal: AbortSignal): Promise<void> {
    let reason: string | undefined;
    for (;;) {
      signal.throwIfAborted();
      try {
        return await this.#options.onDiff(diff);
      } catch (error) {
        signal.throwIfAborted();
        const message = error instanceof Error ? error.message : String(error);
        if (message !== reason) {
          log.error(
            "data path did not apply changed peers; trying again",
            {
              event: "peers.not-taken",
              error,
            },
          );
        }
        reason = message;
      }
      await this.#clock.sleep(DELIVERY_PAUSE_MS, signal);
    }
  }

  #logStale({ changed, removed }: PeerDiff): void {
    const stale = changed.filter(({ stale }) => stale);
    if (stale.length > 0) {
      log.warn(
        "peers are gone from etcd; their traffic continues during the grace period",
        {
          event: "peers.stale",
          count: stale.length,
          graceSeconds: this.#graceMs / 1_000,
          subnets: showSubnets(stale.map(({ subnet }) => subnet)),
        },
      );
    }
    const ended = removed.filter(({ stale }) => stale);
    if (ended.length > 0) {
      log.info("grace period of peers is over; they are removed", {
        event: "peers.grace-ended",
        count: ended.length,
        subnets: showSubnets(ended.map(({ subnet }) => subnet)),
      });
    }
  }

  #noteAllRejected(all: readonly RejectedLease[]): void {
    this.#rejected.clear();
    for (const rejected of all) this.#noteRejected(rejected);
  }

  #noteRejected(rejected: RejectedLease): void {
    this.#rejected.set(rejected.version?.name ?? rejected.key, rejected);
  }

  /** Logs each once, and again if its reason changes or it comes back. */
  #reportNotices(): void {
    const notices = [
      ...[...this.#rejected.values()].map(({ key, reason }) => ({
        key,
        code: "rejected",
        reason,
      })),
      ...this.#set.notices.map(({ name, code, reason }) => ({
        key: name,
        code,
        reason,
      })),
    ];
    for (const { key, code, reason } of this.#reports.changed(notices)) {
      if (code === "rejected") {
        log.warn("key cannot be read and is skipped", {
          event: "peers.key-rejected",
          key,
          reason,
        });
      } else if (code === "overlap") {
        log.warn(
          "lease overlaps an older one of another host and is no peer",
          {
            event: "peers.overlap",
            key,
            reason,
          },
        );
      } else {
        log.warn("lease is not used as a peer", {
          event: "peers.not-a-peer",
          key,
          code,
          reason,
        });
      }
    }
  }

  #recover(): void {
    if (this.#faultCode === undefined) return;
    this.#faultCode = undefined;
    log.info("changes of peers are seen again", {
      event: "peers.recovered",
    });
    this.#options.onFault?.(undefined);
  }

  async #failAndPause(error: unknown, signal: AbortSignal): Promise<void> {
    const code = error instanceof LodenError ? error.code : "peers.unexpected";
    // The history was compacted; the next listing is enough.
    const isTrouble = code !== "registry.compacted";
    if (isTrouble && code !== this.#faultCode) {
      this.#faultCode = code;
      log.warn("changes of peers are not seen; known peers stay", {
        event: "peers.degraded",
        error,
      });
      this.#options.onFault?.(error);
    }
    // It rejects only when the signal is aborted, which ends the loop.
    await this.#clock.sleep(this.#pauses.next(code), signal).catch(() => {});
  }
}

function isEmpty({ added, changed, removed }: PeerDiff): boolean {
  return added.length + changed.length + removed.length === 0;
}

function showSubnets(subnets: readonly Cidr[]): string {
  const shown = subnets.slice(0, SHOWN_SUBNETS).map(formatCidr);
  const more = subnets.length - shown.length;
  return shown.join(" ") + (more > 0 ? ` and ${more} more` : "");
}
