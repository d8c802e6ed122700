/**
 * A backend whose packets the kernel carries by its own devices and tables
 * (vxlan, host-gw). The agent keeps those as they should be, and no packet passes
 * through it.
 *
 * Whatever changes the device, its routes or its entries is noticed at once, by
 * netlink, and put right; every five seconds all is looked at in any case.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../errors.ts";
import type { Clock } from "../linux/clock.ts";
import type { Rtnetlink } from "../linux/netlink/rtnetlink.ts";
import type { RtnetlinkMonitor } from "../linux/netlink/rtnetlink_monitor.ts";
import { formatCidr } from "../net/cidr.ts";
import type { OverlayMtu } from "../net/mtu.ts";
import { applyPeerDiff, type Peer, type PeerDiff } from "../net/peer.ts";
import type { Overlay } from "../net/underlay.ts";
import type {
  Backend,
  BackendAdvertisement,
  BackendContext,
  BackendStatus,
} from "./backend.ts";
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

/** Between two rounds of changes, which come in crowds. */
const SETTLE_MS = 20;
/** So many times as long as a round takes, the next one waits. */
const REST_PER_WORK = 4;

/** What a kernel backend stands on. */
export interface KernelBackendParts {
  readonly rtnetlink: Rtnetlink;
  readonly clock: Pick<Clock, "monotonic" | "sleep">;
  /** @param neighboursOf the device whose entries are watched, too. */
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

/** What a backend wants of the kernel for its peers. */
export interface PeerPlan extends DesiredState {
  readonly refused: readonly RefusedPeer[];
}

/** What one kernel backend does in its own way. */
export interface KernelLayout {
  readonly type: string;
  /** Shown as the data path. */
  readonly dataPath: string;
  readonly mtuBytes: OverlayMtu;
  readonly advertisement: BackendAdvertisement;
  /** `undefined` for a backend without a device of its own. */
  readonly deviceName: string | undefined;
  /**
   * Makes the device right.
   *
   * @returns its index, and what was wrong with it.
   */
  ensureDevice(): { readonly index: number; readonly mended: string[] };
  /** What is wanted for peers of this backend's type. */
  plan(peers: readonly Peer[], deviceIndex: number): PeerPlan;
  /** What else a person wants to see. */
  details(): Readonly<Record<string, string>>;
}

/** Carries packets by what `layout` wants. One instance is started once. */
export class KernelBackend implements Backend {
  readonly type: string;
  readonly failed: Promise<void>;
  readonly #parts: KernelBackendParts;
  readonly #advertisement: BackendAdvertisement;
  readonly #makeLayout: (context: BackendContext) => KernelLayout;
  readonly #ended = Promise.withResolvers<void>();
  readonly #stopping = new AbortController();
  readonly #peers = new Map<string, Peer>();
  #running: Running | undefined;
  #loops: Promise<void>[] = [];

  constructor(
    parts: KernelBackendParts,
    advertisement: BackendAdvertisement,
    makeLayout: (context: BackendContext) => KernelLayout,
  ) {
    this.type = advertisement.backendType;
    this.#parts = parts;
    this.#advertisement = advertisement;
    this.#makeLayout = makeLayout;
    this.failed = this.#ended.promise;
    this.failed.catch(() => {});
  }

  advertise(): BackendAdvertisement {
    return this.#running?.layout.advertisement ?? this.#advertisement;
  }

  /**
   * Makes the device. Peers that a run before left in the kernel stay until the
   * first diff tells who they are.
   *
   * @throws {BackendStartError} when the device cannot be had, and
   * {@linkcode NetlinkError} when the kernel refuses what belongs to it.
   */
  start(context: BackendContext, signal: AbortSignal): Promise<Overlay> {
    return Promise.try(() => {
      signal.throwIfAborted();
      const layout = this.#makeLayout(context);
      const { deviceName, mtuBytes } = layout;
      const { index } = layout.ensureDevice();
      const running: Running = {
        context,
        layout,
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
      ];
      return { deviceName, mtuBytes };
    });
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

  async stop(): Promise<void> {
    this.#stopping.abort(new DOMException("stopping", "AbortError"));
    await Promise.allSettled(this.#loops);
    this.#ended.resolve();
  }

  /** The device, then all that goes through it. */
  #mend(running: Running): string[] {
    const { index, mended } = running.layout.ensureDevice();
    running.deviceIndex = index;
    if (!running.knowsPeers) return mended;
    const changed = countChanges(this.#reconcile(running));
    return changed === 0 ? mended : [...mended, `${changed} routes or entries`];
  }

  /** @returns what was changed. */
  #reconcile(running: Running): Changes {
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
    applyChanges(rtnetlink, changes);
    return changes;
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
  deviceIndex: number;
  refused: readonly RefusedPeer[];
  /** Destinations that are reported already. */
  conflicts: ReadonlySet<string>;
  /** Whether the peers have been told: none is not the same as not yet. */
  knowsPeers: boolean;
}
