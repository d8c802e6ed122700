/**
 * The network's backend, and during a change of backend the former ones.
 *
 * One config holds for all hosts, and each follows it at its own pace. Until the
 * lease of a peer names the new backend, this host serves that peer by the former
 * one. When no lease names a former backend any more, it is stopped and removed.
 *
 * A backend that must not run beside another one (`runsAlone`) gets its peers after
 * the former ones are removed. They go on until it runs, so a host that cannot run
 * it is not cut off from those that have not changed either.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type {
  Backend,
  BackendAdvertisement,
  BackendContext,
  BackendStatus,
  BackendWarning,
} from "../../backend/backend.ts";
import { backendOf } from "../../backend/backends.ts";
import {
  type RouteClaim,
  RouteClaims,
} from "../../backend/reconcile/route_claims.ts";
import type { BackendConfig } from "../../config/network/backend_spec.ts";
import { describeError } from "../../errors.ts";
import { slept } from "../../linux/clock.ts";
import { TaskQueue } from "../../linux/task_queue.ts";
import { formatCidr } from "../../net/cidr.ts";
import {
  applyPeerDiff,
  type Peer,
  type PeerDiff,
  type PeerTraffic,
} from "../../net/peer.ts";
import type { Overlay, Underlay, UnderlayUse } from "../../net/underlay.ts";
import type { DropSource } from "../status/state.ts";
import type { RetryComponents } from "../tasks/retry.ts";
import { type BackendEvents, BackendKeeper } from "./backend_keeper.ts";

const log = getLogger(["loden", "agent"]);

/**
 * How long a host goes on receiving from a peer by the former backend: until the
 * peer has seen this host's lease, and packets on their way have arrived.
 */
const LINGER_MS = 30_000;
const CHECK_MS = 1_000;
const NO_OUTER_PACKETS: UnderlayUse = { traffic: [], devices: [] };

/** How to make backends, and what to tell. */
export interface BackendSuccessionOptions {
  readonly createBackend: (
    config: BackendConfig,
    underlay: Underlay,
  ) => Backend;
  /** Of the present backend. */
  readonly events: BackendEvents;
  /** Backends of an earlier run that peers may still use. */
  readonly former: readonly BackendConfig[];
  /** The backends have changed: the present one first. */
  readonly onBackends: (backends: readonly BackendConfig[]) => void;
}

/** One backend of this host. */
interface Member {
  readonly config: BackendConfig;
  readonly keeper: BackendKeeper;
  readonly claim: RouteClaim;
  context: BackendContext | undefined;
  /** Since the last start with that context; `undefined` until it runs. */
  up: { overlay: Overlay; advertisement: BackendAdvertisement } | undefined;
  hasRun: boolean;
  checksSenders: boolean;
  /** The peers that it has been given, by subnet. */
  readonly held: Map<string, Peer>;
  /** Monotonic time from which each of its peers may be taken away. */
  readonly leaving: Map<string, number>;
  /** Since when it has nothing to do. */
  idleSinceMs: number | undefined;
}

/** See the module. */
export class BackendSuccession {
  readonly #components: RetryComponents;
  readonly #options: BackendSuccessionOptions;
  readonly #stopping = new AbortController();
  readonly #claims = new RouteClaims();
  /** The wanted peers, by subnet. */
  readonly #peers = new Map<string, Peer>();
  #knowsPeers = false;
  #present: Member | undefined;
  #former: Member[] = [];
  /** Of members that are gone. */
  #pastRestarts = 0;
  /** Serialises changes of who serves whom. */
  readonly #queue = new TaskQueue();
  /** While there are former ones. */
  #loop: Promise<void> | undefined;

  constructor(
    components: RetryComponents,
    options: BackendSuccessionOptions,
  ) {
    this.#components = components;
    this.#options = options;
  }

  /** How often backends were restarted after a failure. */
  get restarts(): number {
    return this.#members.reduce(
      (sum, { keeper }) => sum + keeper.restarts,
      this.#pastRestarts,
    );
  }

  /** The peers that this host serves or will serve. */
  get peers(): ReadonlyMap<string, Peer> {
    return this.#peers;
  }

  /** The present backend first. */
  get backends(): readonly BackendConfig[] {
    return this.#members.map(({ config }) => config);
  }

  /** Those that the first start with this config would run. */
  planned(config: BackendConfig): readonly BackendConfig[] {
    return backendsAtStart(config, this.#options.former);
  }

  /** Devices of former backends that still serve peers. */
  get formerDevices(): readonly string[] {
    return this.#former.map(({ up }) => up?.overlay.deviceName)
      .filter((name) => name !== undefined);
  }

  /**
   * Of the present backend, with what the former ones still do; of a former one
   * until the present one runs.
   */
  status(): BackendStatus | undefined {
    const present = this.#present?.keeper.running;
    if (present === undefined) return this.#running[0]?.status();
    const status = present.status();
    const former = this.#former.map(({ config, held, keeper, leaving }) => ({
      type: config.type,
      peers: held.size - leaving.size,
      counters: keeper.running?.status().counters,
    }));
    const details = former.map(({ peers, type }) => [
      `still by ${type}`,
      `${peers} ${peers === 1 ? "peer" : "peers"}, until their leases name ` +
      status.type,
    ]);
    return {
      ...status,
      peers: former.reduce((sum, { peers }) => sum + peers, status.peers),
      details: { ...status.details, ...Object.fromEntries(details) },
      counters: Object.assign(
        {},
        ...former.map(({ counters }) => counters),
        status.counters,
      ),
    };
  }

  /** Outer packets of all backends; `undefined` until one knows its own. */
  underlayUse(): UnderlayUse | undefined {
    const uses = this.#running.map((backend) =>
      backend.underlayUse === undefined
        ? NO_OUTER_PACKETS
        : backend.underlayUse()
    ).filter((use) => use !== undefined);
    if (uses.length < 2) return uses[0];
    return {
      traffic: uses.flatMap(({ traffic }) => traffic),
      devices: [...new Set(uses.flatMap(({ devices }) => devices))],
    };
  }

  /**
   * Devices on which packets of peers arrive without encapsulation; `undefined`
   * until the present backend knows them.
   */
  directDevices(): readonly string[] | undefined {
    const present = this.#present?.keeper.running;
    if (present === undefined) return undefined;
    const known = present.directDevices ? present.directDevices() : [];
    return known && [
      ...new Set([
        ...known,
        ...this.#running.flatMap((each) => each.directDevices?.() ?? []),
      ]),
    ];
  }

  /** Of the peers that have counters of their own, with any of the backends. */
  peerTraffic(): readonly PeerTraffic[] {
    return this.#running.flatMap((backend) => backend.peerTraffic?.() ?? []);
  }

  /** What tells of the drops of each backend that runs. */
  dropSources(): readonly DropSource[] {
    return this.#running.map((backend) => ({
      backendType: backend.type,
      reader: backend.drops?.(),
      kernelAlone: backend.drops === undefined,
    }));
  }

  /** What the backends that run do not do as well as they could. */
  warnings(): readonly BackendWarning[] {
    return this.#running.flatMap((backend) => backend.warnings?.() ?? []);
  }

  /**
   * Starts the backend of a config, in place of the running one if that is
   * another, and waits if waiting may help.
   *
   * @throws errors that waiting cannot cure, unless a backend has run before; an
   * `AbortError` if aborted or superseded.
   */
  async start(
    config: BackendConfig,
    context: BackendContext,
    signal: AbortSignal,
  ): Promise<Overlay> {
    if (this.#present === undefined) await this.#begin(config);
    else if (!isSame(this.#present.config, config)) {
      await this.#succeed(config);
    }
    const present = this.#present!;
    for (const member of this.#former) this.#startFormer(member, context);
    const isRunning = present.keeper.running !== undefined;
    if (isRunning && present.up && isSame(present.context, context)) {
      // It was a former one.
      const { overlay, advertisement } = present.up;
      this.#options.events.onUp(overlay, advertisement);
      this.#endBeside();
      this.#redistribute();
      return overlay;
    }
    present.context = context;
    present.up = undefined;
    const overlay = await present.keeper.start(
      { ...context, claim: present.claim },
      signal,
    );
    // Until those that must not run beside it are gone.
    await this.#queue.idle;
    return overlay;
  }

  /** Updates the peers; resolves when the running backends have them. */
  async apply(diff: PeerDiff): Promise<void> {
    applyPeerDiff(this.#peers, diff);
    this.#knowsPeers = true;
    const touched = [diff.added, diff.changed, diff.removed].flat()
      .map(({ subnet }) => formatCidr(subnet));
    await this.#queue.run(() => this.#distribute(touched));
  }

  /** All peers of a first listing have been applied; there may be none. */
  confirmPeers(): void {
    this.#knowsPeers = true;
  }

  /** Stops the process's part; what runs in the kernel alone stays. */
  async stop(): Promise<void> {
    this.#stopping.abort(new DOMException("stopping", "AbortError"));
    await Promise.all([
      ...this.#members.map(({ keeper }) => keeper.stop()),
      this.#loop,
    ]);
  }

  get #members(): readonly Member[] {
    return this.#present === undefined
      ? this.#former
      : [this.#present, ...this.#former];
  }

  get #running(): readonly Backend[] {
    return this.#members.flatMap(({ keeper }) => keeper.running ?? []);
  }

  /** The first start of this process. */
  async #begin(config: BackendConfig): Promise<void> {
    const { onBackends } = this.#options;
    const [present, ...former] = this.planned(config);
    this.#present = this.#makeMember(present!);
    this.#former = former.map((each) => this.#makeMember(each));
    if (this.#former.length > 0) {
      log.info("peers of a former backend are served until they have changed", {
        event: "backend.change-continued",
        backend: config.type,
        former: this.#former.map((each) => each.config.type),
      });
    }
    onBackends(this.backends);
    // Peers that came before the start.
    await this.#queue.run(() => this.#distribute([...this.#peers.keys()]));
    if (this.#former.length > 0) this.#loop ??= this.#follow();
  }

  /** Makes another backend the present one. */
  async #succeed(config: BackendConfig): Promise<void> {
    const { onBackends } = this.#options;
    const before = this.#present!;
    const back = this.#former.find((each) => isSame(each.config, config));
    log.info("the backend of the network changes", {
      event: "backend.change-begun",
      from: before.config.type,
      to: config.type,
    });
    const leaves = [
      // One that has never run serves no peer.
      ...before.hasRun ? [] : [before],
      ...this.#former.filter(({ config: { type } }) => type === config.type),
    ].filter((member) => member !== back);
    for (const member of leaves) await this.#retire(member);
    const stays = this.#former.filter((member) => member !== back);
    this.#former = leaves.includes(before) ? stays : [before, ...stays];
    this.#present = back ?? this.#makeMember(config, { keepsTrying: true });
    this.#present.idleSinceMs = undefined;
    this.#present.leaving.clear();
    onBackends(this.backends);
    await this.#queue.run(() => this.#distribute([...this.#peers.keys()]));
    if (this.#former.length > 0) this.#loop ??= this.#follow();
  }

  #makeMember(
    config: BackendConfig,
    { keepsTrying = false }: { readonly keepsTrying?: boolean } = {},
  ): Member {
    const isPresent = () => this.#present === member;
    const { events } = this.#options;
    const keeper = new BackendKeeper(this.#components, {
      keepsTrying,
      createBackend: () => {
        const { underlay } = member.context!;
        const backend = this.#options.createBackend(config, underlay);
        member.checksSenders = backend.checksSenders ?? false;
        return backend;
      },
      events: {
        onWaiting: (error) => {
          if (isPresent()) events.onWaiting(error);
          else this.#reportFormer(member, error);
        },
        onDown: (error, flowsOn) => {
          if (isPresent()) events.onDown(error, flowsOn);
          else this.#reportFormer(member, error);
        },
        onUp: (overlay, advertisement) => {
          member.up = { overlay, advertisement };
          member.hasRun = true;
          if (isPresent()) {
            events.onUp(overlay, advertisement);
            this.#endBeside();
          }
          this.#redistribute();
        },
      },
    });
    const member: Member = {
      config,
      keeper,
      claim: this.#claims.open(),
      context: undefined,
      up: undefined,
      hasRun: false,
      checksSenders: false,
      held: new Map(),
      leaving: new Map(),
      idleSinceMs: undefined,
    };
    return member;
  }

  #reportFormer({ config }: Member, error: unknown): void {
    log.warn("a former backend is down; it is restarted", {
      event: "backend.former-down",
      backend: config.type,
      error,
    });
  }

  /** In the background: the present backend does not wait for it. */
  #startFormer(member: Member, context: BackendContext): void {
    if (isSame(member.context, context)) return;
    member.context = context;
    member.up = undefined;
    member.keeper.start(
      { ...context, claim: member.claim },
      this.#stopping.signal,
    ).catch((error) => {
      if (this.#stopping.signal.aborted || isAbort(error)) return;
      log.warn("a former backend cannot be started; its peers are not served", {
        event: "backend.former-lost",
        backend: member.config.type,
        error,
      });
      return this.#drop(member);
    });
  }

  #redistribute(): void {
    this.#soon(() => this.#distribute([...this.#peers.keys()]));
  }

  /** Nothing waits for it. */
  #soon(action: () => Promise<void>): void {
    this.#queue.run(action).catch((error) => {
      log.warn("peers could not be given to another backend", {
        event: "backend.change-stuck",
        reason: describeError(error),
      });
    });
  }

  /**
   * Gives each peer to the backend that its lease names, once that one runs. It
   * has the peer before the former one gives it up.
   */
  async #distribute(subnets: readonly string[]): Promise<void> {
    const nowMs = this.#components.clock.monotonic();
    const diffs = new Map<Member, Required<MutableDiff>>();
    const diffOf = (member: Member) => {
      const diff = diffs.get(member) ?? { added: [], changed: [], removed: [] };
      diffs.set(member, diff);
      return diff;
    };
    for (const key of subnets) {
      const peer = this.#peers.get(key);
      const target = peer && this.#memberFor(key, peer);
      for (const member of this.#members) {
        const held = member.held.get(key);
        if (member === target) {
          // A peer of another type keeps its former value until it can change.
          const isNamed = member.config.type === peer!.backendType;
          member.leaving.delete(key);
          if (!isNamed || held === peer) continue;
          diffOf(member)[held === undefined ? "added" : "changed"].push(peer!);
          member.held.set(key, peer!);
        } else if (held !== undefined) {
          const lingers = target !== undefined && member.checksSenders;
          if (lingers && !member.leaving.has(key)) {
            member.leaving.set(key, nowMs + LINGER_MS);
          }
          if (lingers && nowMs < member.leaving.get(key)!) continue;
          member.leaving.delete(key);
          member.held.delete(key);
          diffOf(member).removed.push(held);
        }
      }
    }
    const isGaining = (member: Member) => diffs.get(member)!.added.length > 0;
    const inOrder = [...diffs.keys()].toSorted((a, b) =>
      Number(isGaining(b)) - Number(isGaining(a))
    );
    for (const member of inOrder) await member.keeper.apply(diffs.get(member)!);
  }

  #memberFor(key: string, { backendType }: Peer): Member | undefined {
    const named = this.#members.find(({ config }) =>
      config.type === backendType
    );
    const holder = this.#members.find(({ held, leaving }) =>
      held.has(key) && !leaving.has(key)
    );
    if (named === undefined) return holder;
    if (named.up !== undefined) return named;
    // The former one must not serve a peer that encrypts already.
    const isClosed = this.#former.length > 0 && runsAlone(named.config);
    // Until the new one runs, the former one goes on.
    return isClosed ? undefined : holder ?? named;
  }

  /** Removes those that must not run beside the present one, which runs now. */
  #endBeside(): void {
    const isAlone = runsAlone(this.#present!.config);
    const leaves = this.#former.filter(({ config }) =>
      isAlone || runsAlone(config)
    );
    if (leaves.length === 0) return;
    this.#former = this.#former.filter((member) => !leaves.includes(member));
    this.#soon(async () => {
      for (const member of leaves) await this.#retire(member);
      this.#options.onBackends(this.backends);
    });
  }

  /** Ends lingering peers, and former backends that have nothing left to do. */
  async #follow(): Promise<void> {
    const { clock } = this.#components;
    const { signal } = this.#stopping;
    try {
      while (this.#former.length > 0 && await slept(clock, CHECK_MS, signal)) {
        await this.#queue.run(() => this.#look());
      }
    } catch (error) {
      log.warn("former backends are not followed any more", {
        event: "backend.change-stuck",
        reason: describeError(error),
      });
    } finally {
      this.#loop = undefined;
    }
  }

  async #look(): Promise<void> {
    const nowMs = this.#components.clock.monotonic();
    const late = this.#members.flatMap(({ leaving }) =>
      [...leaving].filter(([, atMs]) => atMs <= nowMs).map(([key]) => key)
    );
    if (late.length > 0) await this.#distribute(late);
    const named = new Set(
      [...this.#peers.values()].map(({ backendType }) => backendType),
    );
    for (const member of [...this.#former]) {
      // While another one was removed, the config may have named it again.
      if (!this.#former.includes(member)) continue;
      const isNeeded = !this.#knowsPeers || named.has(member.config.type) ||
        member.held.size > 0 || this.#present!.up === undefined;
      if (isNeeded) {
        member.idleSinceMs = undefined;
        continue;
      }
      member.idleSinceMs ??= nowMs;
      // One that checks senders has kept its peers for as long.
      const lingerMs = member.checksSenders ? 0 : LINGER_MS;
      if (nowMs - member.idleSinceMs < lingerMs) continue;
      await this.#drop(member);
      log.info("no peer uses the former backend any more; it is removed", {
        event: "backend.change-ended",
        backend: this.#present!.config.type,
        former: member.config.type,
      });
    }
  }

  async #drop(member: Member): Promise<void> {
    this.#former = this.#former.filter((each) => each !== member);
    await this.#retire(member);
    this.#options.onBackends(this.backends);
  }

  async #retire(member: Member): Promise<void> {
    this.#pastRestarts += member.keeper.restarts;
    member.held.clear();
    member.leaving.clear();
    await member.keeper.remove();
    member.claim.end();
  }
}

/**
 * What the first start with this config runs: the former backends as well, for
 * peers that have not changed yet.
 */
export function backendsAtStart(
  config: BackendConfig,
  former: readonly BackendConfig[],
): readonly BackendConfig[] {
  return runsAlone(config) ? [config] : [
    config,
    ...former.filter((each) => each.type !== config.type && !runsAlone(each)),
  ];
}

function runsAlone({ type }: BackendConfig): boolean {
  return backendOf(type).runsAlone !== undefined;
}

type MutableDiff = { -readonly [Key in keyof PeerDiff]: Peer[] };

/** By value: configs and contexts are plain. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
