/**
 * A backend whose packets the kernel carries with its own devices and tables
 * (vxlan, host-gw, wireguard). The agent maintains those, and no packet passes through it.
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
import type { Rtnetlink } from "../linux/netlink/rtnetlink.ts";
import type { RtnetlinkMonitor } from "../linux/netlink/rtnetlink_monitor.ts";
import { formatCidr } from "../net/cidr.ts";
import type { OverlayMtu } from "../net/mtu.ts";
import { applyPeerDiff, type Peer, type PeerDiff } from "../net/peer.ts";
import type { OuterTraffic, Overlay, UnderlayUse } from "../net/underlay.ts";
import type {
  Backend,
  BackendAdvertisement,
  BackendContext,
  BackendStatus,
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
import { type Changes, countChanges, planChanges } from "./reconcile/plan.ts";

const log = getLogger(["loden", "backend"]);

/** Pause between two rounds, because changes come in bursts. */
const SETTLE_MS = 20;
/** The next round waits for this multiple of the duration of the last one. */
const REST_PER_WORK = 4;

/** The same for a backend that must look by the clock. */
const REST_PER_LOOK = 20;

/** What a kernel backend needs. */
export interface KernelBackendParts {
  readonly rtnetlink: Rtnetlink;
  readonly clock: Pick<Clock, "monotonic" | "sleep">;
  /** @param neighboursOf the device whose entries are watched as well. */
  readonly openMonitor: (
    neighboursOf: () => number | undefined,
  ) => RtnetlinkMonitor;
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
   * entries, for the peers of the last plan. Called before the routes are set.
   *
   * @returns how many entries were changed.
   */
  applyEntries?(deviceIndex: number): number;
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
      underlays: new UnderlayDevices(this.#parts, context.underlay),
      deviceIndex: index,
      refused: [],
      conflicts: new Set(),
      knowsPeers: false,
    };
    this.#running = running;
    const keeper = new OverlayKeeper(this.#parts.clock, {
      deviceName: deviceName ?? context.underlay.interfaceName,
      mend: () => this.#mend(running),
    });
    const monitor = this.#parts.openMonitor(() => running.deviceIndex);
    this.#loops = [
      keeper.run(this.#stopping.signal),
      this.#follow(monitor, keeper),
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
      this.#reconcile(running);
    });
  }

  status(): BackendStatus {
    const running = this.#running;
    return {
      type: this.type,
      dataPath: running?.layout.dataPath ?? "none",
      reason: running === undefined ? "not started" : "the network's backend",
      device: running?.layout.deviceName,
      peers: this.#peers.size - (running?.refused.length ?? 0),
      outlivesAgent: running !== undefined,
      details: {
        ...running?.layout.details(),
        ...Object.fromEntries(
          (running?.refused ?? []).map(({ peer, reason }) => [
            `not served: ${formatCidr(peer.subnet)}`,
            reason,
          ]),
        ),
      },
      counters: {},
    };
  }

  underlayUse(): UnderlayUse | undefined {
    if (this.#running === undefined) return undefined;
    const { layout: { deviceName, traffic }, underlays } = this.#running;
    const addresses = [...this.#peers.values()].map(({ publicIp }) => publicIp);
    return { traffic, devices: underlays.names(addresses, deviceName) };
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new DOMException("stopping", "AbortError"));
    await Promise.allSettled(this.#loops);
    this.#ended.resolve();
  }

  /** The device, then everything that uses it. */
  #mend(running: Running): string[] {
    const { index, mended } = running.layout.ensureDevice();
    running.deviceIndex = index;
    if (!running.knowsPeers) return mended;
    const changed = this.#reconcile(running);
    return changed === 0 ? mended : [...mended, `${changed} routes or entries`];
  }

  /** @returns how much was changed. */
  #reconcile(running: Running): number {
    const { context, deviceIndex, layout } = running;
    const { rtnetlink } = this.#parts;
    const plan = layout.plan([...this.#peers.values()], deviceIndex);
    const desired = {
      ...plan,
      routes: [...plan.routes, {
        destination: context.network,
        type: "unreachable" as const,
        metric: UNREACHABLE_METRIC,
        protocol: ROUTE_PROTOCOL,
      }],
    };
    const ownDevice = layout.deviceName === undefined ? undefined : deviceIndex;
    const changes = planChanges(
      desired,
      readActualState(rtnetlink, ownDevice),
      { network: context.network, deviceIndex: ownDevice },
    );
    this.#reportRefused(running, plan.refused);
    this.#reportConflicts(running, changes);
    const entries = layout.applyEntries?.(deviceIndex) ?? 0;
    applyChanges(rtnetlink, changes);
    return entries + countChanges(changes);
  }

  #reportRefused(running: Running, refused: readonly RefusedPeer[]): void {
    const before = new Set(
      running.refused.map(({ peer, reason }) =>
        `${formatCidr(peer.subnet)} ${reason}`
      ),
    );
    running.refused = refused;
    for (const { peer, reason } of refused) {
      const subnet = formatCidr(peer.subnet);
      if (before.has(`${subnet} ${reason}`)) continue;
      log.warn("peer cannot be served", {
        event: "backend.peer-refused",
        subnet,
        reason,
      });
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
      await slept(clock, Math.max(pauseMs, tookMs * REST_PER_LOOK), signal)
    ) {
      const startedAtMs = clock.monotonic();
      keeper.look();
      tookMs = clock.monotonic() - startedAtMs;
    }
  }

  async #follow(
    monitor: RtnetlinkMonitor,
    keeper: OverlayKeeper,
  ): Promise<void> {
    const { clock } = this.#parts;
    const { signal } = this.#stopping;
    try {
      for await (const _tables of monitor.changes(signal)) {
        const startedAtMs = clock.monotonic();
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

interface Running {
  readonly context: BackendContext;
  readonly layout: KernelLayout;
  readonly underlays: UnderlayDevices;
  deviceIndex: number;
  refused: readonly RefusedPeer[];
  /** Destinations that are reported already. */
  conflicts: ReadonlySet<string>;
  /** Whether the peers are known; no peers differs from not known yet. */
  knowsPeers: boolean;
}
