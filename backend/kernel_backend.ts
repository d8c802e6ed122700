/**
 * A backend whose packets the kernel carries with its own devices and tables
 * (vxlan, host-gw, wireguard). The agent maintains those, and no packet passes
 * through it.
 *
 * Netlink reports every change of the device, its routes or its entries, and
 * the agent restores them at once; it also checks everything every five
 * seconds.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../errors.ts";
import { type Clock, slept } from "../linux/clock.ts";
import type { NewRoute, Route, Rtnetlink } from "../linux/netlink/rtnetlink.ts";
import type { RtnetlinkMonitor } from "../linux/netlink/rtnetlink_monitor.ts";
import { formatCidr, isWithin } from "../net/cidr.ts";
import type { OverlayMtu } from "../net/mtu.ts";
import { applyPeerDiff, type Peer, type PeerDiff } from "../net/peer.ts";
import type { OuterTraffic, Overlay, UnderlayUse } from "../net/underlay.ts";
import type {
  Backend,
  BackendAdvertisement,
  BackendContext,
  BackendStatus,
  BackendWarning,
} from "./backend.ts";
import { UnderlayDevices } from "./underlay_devices.ts";
import { UNREACHABLE_METRIC } from "./overlay_device.ts";
import { OverlayKeeper } from "./overlay_keeper.ts";
import { applyChanges } from "./reconcile/apply.ts";
import {
  type DesiredState,
  readActualState,
  ROUTE_PROTOCOL,
} from "./reconcile/kernel_state.ts";
import { merge, PeerPlans } from "./reconcile/peer_plans.ts";
import {
  type Changes,
  countChanges,
  planChanges,
  planDifference,
  routeKey,
} from "./reconcile/plan.ts";

const log = getLogger(["loden", "backend"]);

/** Pause between two rounds, because changes come in bursts. */
const SETTLE_MS = 20;
/** The next round waits for this multiple of the duration of the last one. */
const REST_PER_WORK = 4;
/** The same for a look without a reason. */
const REST_PER_LOOK = 500;
/** The kernel reports a change before the system call returns. */
const OWN_ENTRIES_MS = 1_000;

/** The same for a backend that must look by the clock. */
const REST_PER_POLL = 20;

/** From this share of the neighbour table on there is a warning. */
const FULL_SHARE = 0.8;
const NEIGHBOUR_LIMIT = "net.ipv4.neigh.default.gc_thresh3";

/** What a kernel backend needs. */
export interface KernelBackendParts {
  readonly rtnetlink: Rtnetlink;
  readonly clock: Pick<Clock, "monotonic" | "sleep">;
  /**
   * Reports no changes that `rtnetlink` makes.
   *
   * @param neighboursOf the device whose entries are watched as well.
   * @param isOwnEntry asked for each report of a forwarding entry.
   */
  readonly openMonitor: (
    neighboursOf: () => number | undefined,
    isOwnEntry: () => boolean,
  ) => RtnetlinkMonitor;
  /**
   * How many neighbours the kernel keeps (`gc_thresh3`); `undefined` where that
   * cannot be read, as in a network namespace.
   */
  readonly neighbourLimit?: () => number | undefined;
}

/** A peer that is not served, and why. */
export interface RefusedPeer {
  readonly peer: Peer;
  /** `203.0.113.9 is behind 192.0.2.1, not on the link of eth1`. */
  readonly reason: string;
}

/** The kernel state that a backend wants for its peers. */
export interface PeerPlan extends DesiredState {
  readonly refused: readonly RefusedPeer[];
}

/** The parts that differ between kernel backends. */
export interface KernelLayout {
  readonly type: string;
  /** Shown as the data path. */
  readonly dataPath: string;
  readonly mtuBytes: OverlayMtu;
  readonly advertisement: BackendAdvertisement;
  /** What peers send to this host: nothing else may send it. */
  readonly traffic: readonly OuterTraffic[];
  /** Whether peers on the link are sent packets without encapsulation. */
  readonly direct?: boolean;
  /** `undefined` for a backend without a device of its own. */
  readonly deviceName: string | undefined;
  /**
   * Restores the device.
   *
   * @returns its index, and what was wrong with it.
   */
  ensureDevice(): { readonly index: number; readonly mended: string[] };
  /** What is wanted for peers of this backend's type. */
  plan(peers: readonly Peer[], deviceIndex: number): PeerPlan;
  /**
   * Reconciles what the device has beside routes, neighbours and forwarding
   * entries, for the peers of the last plan, which is always of all peers then.
   * Called before the routes are set.
   *
   * @param putRoutes the routes that are new or were lost.
   * @returns how many entries were changed.
   */
  applyEntries?(deviceIndex: number, putRoutes: readonly NewRoute[]): number;
  /** Checks this often, where the kernel does not report changes of the entries. */
  readonly lookMs?: number;
  /** Further details for people. */
  details(): Readonly<Record<string, string>>;
}

/** Carries packets as `layout` defines. Start an instance only once. */
export class KernelBackend implements Backend {
  readonly type: string;
  readonly failed: Promise<void>;
  readonly #parts: KernelBackendParts;
  #advertisement: BackendAdvertisement;
  readonly #prepare: () => Promise<BackendAdvertisement | undefined>;
  readonly #makeLayout: (context: BackendContext) => KernelLayout;
  readonly #ended = Promise.withResolvers<void>();
  readonly #stopping = new AbortController();
  readonly #peers = new Map<string, Peer>();
  #running: Running | undefined;
  /** Reports of own changes that are still to come. */
  #ownEntries = { left: 0, untilMs: 0 };
  #loops: Promise<void>[] = [];

  /**
   * @param prepare obtains the advertisement and what `makeLayout` needs, where
   * that takes time.
   */
  constructor(
    parts: KernelBackendParts,
    advertisement: BackendAdvertisement,
    makeLayout: (context: BackendContext) => KernelLayout,
    prepare: () => Promise<BackendAdvertisement | undefined> = () =>
      Promise.resolve(undefined),
  ) {
    this.type = advertisement.backendType;
    this.#parts = parts;
    this.#advertisement = advertisement;
    this.#makeLayout = makeLayout;
    this.#prepare = prepare;
    this.failed = this.#ended.promise;
    this.failed.catch(() => {});
  }

  async prepare(): Promise<void> {
    this.#advertisement = await this.#prepare() ?? this.#advertisement;
  }

  advertise(): BackendAdvertisement {
    return this.#running?.layout.advertisement ?? this.#advertisement;
  }

  /**
   * Creates the device. Peers that an earlier run left in the kernel stay until
   * the first diff.
   *
   * @throws {BackendStartError} if the device cannot be created, and
   * {@linkcode NetlinkError} if the kernel refuses its settings.
   */
  async start(context: BackendContext, signal: AbortSignal): Promise<Overlay> {
    signal.throwIfAborted();
    await this.prepare();
    signal.throwIfAborted();
    const layout = this.#makeLayout(context);
    const { deviceName, mtuBytes } = layout;
    const { index } = layout.ensureDevice();
    const running: Running = {
      context,
      layout,
      underlays: new UnderlayDevices(this.#parts, context),
      deviceIndex: index,
      conflicts: new Set(),
      knowsPeers: false,
      isSettled: false,
      plans: new PeerPlans(),
      refused: new Map(),
      plannedFor: undefined,
      replanAtMs: 0,
      lookAtMs: 0,
    };
    this.#running = running;
    const keeper = new OverlayKeeper(this.#parts.clock, {
      deviceName: deviceName ?? context.underlay.interfaceName,
      mend: () => this.#mend(running),
    });
    const monitor = this.#parts.openMonitor(
      // Without a device of its own it has no entries, and the underlay's
      // neighbours change with each packet to another host.
      () => deviceName === undefined ? undefined : running.deviceIndex,
      () => this.#isOwnEntry(),
    );
    this.#loops = [
      keeper.run(this.#stopping.signal),
      this.#follow(monitor, keeper, running),
      ...layout.lookMs === undefined ? [] : [
        this.#poll(layout.lookMs, keeper),
      ],
    ];
    return { deviceName, mtuBytes };
  }

  apply(diff: PeerDiff): Promise<void> {
    return Promise.try(() => {
      applyPeerDiff(this.#peers, diff);
      const running = this.#running;
      if (running === undefined) return;
      running.knowsPeers = true;
      // A full look repairs what a refused change has left, or throws the refusal.
      if (!this.#changeSome(running, diff)) this.#reconcile(running);
    });
  }

  status(): BackendStatus {
    const running = this.#running;
    return {
      type: this.type,
      dataPath: running?.layout.dataPath ?? "none",
      reason: running === undefined ? "not started" : "the network's backend",
      device: running?.layout.deviceName,
      peers: this.#peers.size - (running?.refused.size ?? 0),
      outlivesAgent: running !== undefined,
      details: {
        ...running?.layout.details(),
        ...Object.fromEntries(
          [...running?.refused ?? []].map(([subnet, reason]) => [
            `not served: ${subnet}`,
            reason,
          ]),
        ),
      },
      counters: {},
    };
  }

  /** A peer on the link takes an entry; permanent ones of a VXLAN do not count. */
  warnings(): readonly BackendWarning[] {
    const limit = this.#parts.neighbourLimit?.();
    const { size } = this.#peers;
    if (limit === undefined || !isCrowded(size, limit)) return [];
    return [{
      code: "backend.neighbours",
      text: `${size} peers need a neighbour entry each, and the kernel keeps ` +
        `${limit}: sysctl -w ${NEIGHBOUR_LIMIT}=${roomFor(size)}`,
    }];
  }

  underlayUse(): UnderlayUse | undefined {
    if (this.#running === undefined) return undefined;
    const { traffic } = this.#running.layout;
    return { traffic, devices: this.#underlayDevices(this.#running) };
  }

  directDevices(): readonly string[] | undefined {
    const running = this.#running;
    if (running === undefined) return undefined;
    if (!running.layout.direct) return [];
    return running.knowsPeers
      ? [...this.#underlayDevices(running)].sort()
      : undefined;
  }

  #underlayDevices({ layout, underlays }: Running): readonly string[] {
    const addresses = [...this.#peers.values()].map(({ publicIp }) => publicIp);
    return underlays.names(addresses, layout.deviceName);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new DOMException("stopping", "AbortError"));
    await Promise.allSettled(this.#loops);
    this.#ended.resolve();
  }

  /** Routes and entries of peers, then the device. */
  remove(): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#peers.clear();
    running.plannedFor = undefined;
    this.#reconcile(running);
    running.context.claim?.end();
    const { deviceIndex, layout: { deviceName } } = running;
    // Another program's device may have the name since.
    const link = this.#parts.rtnetlink.links()
      .find(({ index, name }) => index === deviceIndex && name === deviceName);
    if (link !== undefined) this.#parts.rtnetlink.deleteLink(link.index);
  }

  /**
   * The device, then everything that uses it. Unless something is known to have
   * changed, a slow look comes seldom: with thousands of peers it keeps the agent
   * from everything else for a while.
   */
  #mend(running: Running): string[] {
    const { clock } = this.#parts;
    const { index, mended } = running.layout.ensureDevice();
    const isSame = index === running.deviceIndex && mended.length === 0;
    running.deviceIndex = index;
    if (!running.knowsPeers) return mended;
    const startedAtMs = clock.monotonic();
    const isKnown = isSame && running.isSettled &&
      running.layout.applyEntries === undefined;
    if (isKnown && startedAtMs < running.lookAtMs) return mended;
    const changed = this.#reconcile(running);
    const nowMs = clock.monotonic();
    running.lookAtMs = nowMs + (nowMs - startedAtMs) * REST_PER_LOOK;
    return changed === 0 ? mended : [...mended, `${changed} routes or entries`];
  }

  /**
   * Applies what a diff changes and leaves the rest unseen.
   *
   * @returns whether that is enough: not before a full look, or if the kernel
   * refuses something.
   */
  #changeSome(running: Running, diff: PeerDiff): boolean {
    const { context: { claim }, layout, plans, deviceIndex } = running;
    const isPlanned = running.plannedFor !== undefined &&
      layout.applyEntries === undefined;
    if (!isPlanned) return false;
    const put = [...diff.added, ...diff.changed];
    const touched = [...put, ...diff.removed].map(({ subnet }) =>
      formatCidr(subnet)
    );
    const before = merge(plans.plans(touched));
    for (const key of touched) plans.delete(key);
    for (const peer of put) {
      plans.set(formatCidr(peer.subnet), layout.plan([peer], deviceIndex));
    }
    const after = merge(plans.plans(touched));
    if (!running.isSettled) return false;
    const kept = new Set(after.routes.map(routeKey));
    const gone = before.routes.filter((route) => !kept.has(routeKey(route)));
    const own = claim?.change(after.routes, gone) ?? after.routes;
    const changes = planDifference(
      before,
      {
        ...after,
        // Another program's route stays; the full look reports it.
        routes: own.filter(({ destination }) =>
          !running.conflicts.has(formatCidr(destination))
        ),
      },
      (macs) => plans.entriesOf(macs),
    );
    this.#reportRefused(running, touched);
    try {
      this.#apply({
        ...changes,
        removeRoutes: gone.filter((route) =>
          !claim?.isOfOthers(routeKey(route))
        ),
      });
      return true;
    } catch {
      running.isSettled = false;
      return false;
    }
  }

  /** @returns how much was changed. */
  #reconcile(running: Running): number {
    const { context: { claim, network }, deviceIndex, layout } = running;
    const { rtnetlink } = this.#parts;
    running.isSettled = false;
    const routes = rtnetlink.routes();
    this.#plan(running, routes);
    const wanted = merge(running.plans.plans());
    const safety: NewRoute = {
      destination: network,
      type: "unreachable",
      metric: UNREACHABLE_METRIC,
      protocol: ROUTE_PROTOCOL,
    };
    const ownDevice = layout.deviceName === undefined ? undefined : deviceIndex;
    const changes = planChanges(
      {
        ...wanted,
        routes: [...claim?.set(wanted.routes) ?? wanted.routes, safety],
        isOfOthers: claim?.isOfOthers,
      },
      readActualState(rtnetlink, routes, ownDevice),
      { network, deviceIndex: ownDevice },
    );
    this.#reportRefused(running);
    this.#reportConflicts(running, changes);
    const entries = layout.applyEntries?.(deviceIndex, changes.putRoutes) ?? 0;
    this.#apply(changes);
    running.isSettled = true;
    return entries + countChanges(changes);
  }

  /**
   * What each peer needs. By which device a peer is reached is asked again when
   * the routes outside of the overlay are others, and now and then.
   */
  #plan(running: Running, routes: readonly Route[]): void {
    const { clock } = this.#parts;
    const { context: { network }, deviceIndex, layout, plans } = running;
    if (layout.applyEntries !== undefined) {
      plans.set(
        "all",
        layout.plan([...this.#peers.values()], deviceIndex),
      );
      return;
    }
    const others = routes.filter(({ destination }) =>
      !isWithin(destination, network)
    );
    const plannedFor = JSON.stringify([deviceIndex, others]);
    const startedAtMs = clock.monotonic();
    if (
      plannedFor === running.plannedFor && startedAtMs < running.replanAtMs
    ) return;
    plans.clear();
    for (const [key, peer] of this.#peers) {
      plans.set(key, layout.plan([peer], deviceIndex));
    }
    const nowMs = clock.monotonic();
    running.plannedFor = plannedFor;
    running.replanAtMs = nowMs + (nowMs - startedAtMs) * REST_PER_LOOK;
  }

  #apply(changes: Omit<Changes, "conflicts">): void {
    this.#ownEntries = {
      left: changes.putForwarding.length + changes.removeForwarding.length,
      untilMs: this.#parts.clock.monotonic() + OWN_ENTRIES_MS,
    };
    applyChanges(this.#parts.rtnetlink, changes);
  }

  /**
   * Whether the kernel's report of a forwarding entry is about a change of this
   * backend: unlike other reports it does not say whose change it was.
   */
  #isOwnEntry(): boolean {
    const own = this.#ownEntries;
    if (own.left === 0 || this.#parts.clock.monotonic() > own.untilMs) {
      return false;
    }
    own.left--;
    return true;
  }

  /** @param touched Peers whose plans are new; all without it. */
  #reportRefused(running: Running, touched?: readonly string[]): void {
    const before = touched === undefined ? running.refused : new Map(
      touched.map((key) => [key, running.refused.get(key) ?? ""]),
    );
    if (touched === undefined) running.refused = new Map();
    else for (const key of touched) running.refused.delete(key);
    for (const plan of running.plans.plans(touched)) {
      for (const { peer, reason } of plan.refused) {
        const subnet = formatCidr(peer.subnet);
        running.refused.set(subnet, reason);
        if (before.get(subnet) === reason) continue;
        log.warn("peer cannot be served", {
          event: "backend.peer-refused",
          subnet,
          reason,
        });
      }
    }
  }

  #reportConflicts(running: Running, { conflicts }: Changes): void {
    const now = new Set(
      conflicts.map(({ destination }) => formatCidr(destination)),
    );
    for (const destination of now) {
      if (running.conflicts.has(destination)) continue;
      log.warn("route of another program is in the place of a peer's", {
        event: "backend.route-conflict",
        destination,
      });
    }
    running.conflicts = now;
  }

  /** With thousands of peers a look takes long: it takes 5 % of the time at most. */
  async #poll(pauseMs: number, keeper: OverlayKeeper): Promise<void> {
    const { clock } = this.#parts;
    const { signal } = this.#stopping;
    let tookMs = 0;
    while (
      await slept(clock, Math.max(pauseMs, tookMs * REST_PER_POLL), signal)
    ) {
      const startedAtMs = clock.monotonic();
      keeper.look();
      tookMs = clock.monotonic() - startedAtMs;
    }
  }

  async #follow(
    monitor: RtnetlinkMonitor,
    keeper: OverlayKeeper,
    running: Running,
  ): Promise<void> {
    const { clock } = this.#parts;
    const { signal } = this.#stopping;
    try {
      for await (const _tables of monitor.changes(signal)) {
        const startedAtMs = clock.monotonic();
        running.isSettled = false;
        keeper.look();
        const tookMs = clock.monotonic() - startedAtMs;
        await clock.sleep(Math.max(SETTLE_MS, tookMs * REST_PER_WORK), signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      log.warn("changes of the network are seen only every five seconds", {
        event: "backend.monitor-failed",
        reason: describeError(error),
      });
    } finally {
      monitor[Symbol.dispose]();
    }
  }
}

/** Whether so many peers leave a neighbour table of that size too little room. */
export function isCrowded(peers: number, limit: number): boolean {
  return peers >= limit * FULL_SHARE;
}

/** Twice as many, as a power of two. */
export function roomFor(peers: number): number {
  return 2 ** Math.ceil(Math.log2(2 * peers));
}

interface Running {
  readonly context: BackendContext;
  readonly layout: KernelLayout;
  readonly underlays: UnderlayDevices;
  deviceIndex: number;
  /** Peers that are not served, by subnet, and why. */
  refused: Map<string, string>;
  /** Destinations that are reported already. */
  conflicts: ReadonlySet<string>;
  /** Whether the peers are known; no peers differs from not known yet. */
  knowsPeers: boolean;
  /** Whether the kernel was as wanted after the last look or change. */
  isSettled: boolean;
  readonly plans: PeerPlans<PeerPlan>;
  /** The device, and the routes outside of the overlay, that the plans follow. */
  plannedFor: string | undefined;
  /** When plans and kernel are looked at although nothing is known to have changed. */
  replanAtMs: number;
  lookAtMs: number;
}
