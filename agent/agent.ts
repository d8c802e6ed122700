/**
 * The run loop: the order in which the parts start and stop.
 *
 * It uses neither the kernel nor etcd directly, and no fault of etcd or of the
 * lease ends it.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../errors.ts";
import type { ServiceNotifier } from "../host/systemd.ts";
import type { RunShell } from "../linux/shell_command.ts";
import type { LeaseRegistry } from "../lease/registry.ts";
import { type Cidr, formatCidr } from "../net/cidr.ts";
import { formatIpv4 } from "../net/ipv4.ts";
import type { DataPathName, PeerDiff } from "../net/peer.ts";
import { poolSize } from "../net/subnet_pool.ts";
import {
  ChangeFollower,
  type ChangeFollowerComponents,
} from "./changes/change_follower.ts";
import { Joining, type UnderlayChoice } from "./joining.ts";
import type { Membership, MembershipEvents } from "./membership.ts";
import type { EtcdSettings } from "./changes/missing_config.ts";
import type { NetworkOptions } from "./network/network.ts";
import {
  NetworkSupervisor,
  type NetworkSupervisorComponents,
} from "./network/network_supervisor.ts";
import { Readiness } from "./readiness.ts";
import { ProbeReport } from "./probe/probe_report.ts";
import { ProbePlace } from "./probe/probe_place.ts";
import { type ProbeComponents, ProbeService } from "./probe/probe_service.ts";
import { PeerTimes } from "./status/peer_times.ts";
import {
  formatTime,
  type LeaseStatus,
  type PeerStatus,
} from "./status/status_snapshot.ts";
import {
  SubnetChangeHook,
  type SubnetChangeOptions,
} from "./changes/subnet_change.ts";
import { StatusReporter } from "./status/status_reporter.ts";
import { TaskGroup } from "./tasks/task_group.ts";
import type { UnderlayView } from "./changes/underlay_watch.ts";

const log = getLogger(["loden", "agent"]);

/**
 * Parts that have not stopped by then are left behind, so that a stop takes at
 * most a second.
 */
const STOP_PATIENCE_MS = 800;

/** The agent's parts. */
export interface AgentComponents extends
  Omit<
    NetworkSupervisorComponents,
    "tasks" | "advertise" | "serve" | "onFilesWritten"
  > {
  readonly registry: Pick<
    LeaseRegistry,
    "readConfig" | "watchConfig" | "reconnect" | "close"
  >;
  readonly createMembership: (events: MembershipEvents) => Membership;
  readonly pickUnderlay: () => UnderlayChoice;
  readonly underlayView: UnderlayView;
  readonly notifier: ServiceNotifier;
  readonly refuseBackend: ChangeFollowerComponents["refuseBackend"];
  readonly runShell: RunShell;
  /** Runs each change of the peers in the backend; without it, as it is. */
  readonly timeApply?: (apply: () => Promise<void>) => Promise<void>;
  readonly probes: Omit<ProbeComponents, "clock" | "random">;
}

/** The settings. */
export interface AgentOptions {
  readonly etcd: EtcdSettings;
  readonly network: NetworkOptions;
  readonly subnetChange: SubnetChangeOptions;
  /** UDP port of the probes; `undefined`: none. */
  readonly probePort: number | undefined;
}

/** One run of the agent. */
export class Agent {
  readonly #components: AgentComponents;
  readonly #tasks: TaskGroup;
  readonly #membership: Membership;
  readonly #joining: Joining;
  readonly #supervisor: NetworkSupervisor;
  readonly #readiness: Readiness;
  readonly #peerTimes: PeerTimes;
  /** `undefined` if they are not wanted. */
  readonly probes: ProbeService | undefined;
  readonly #probeReport: ProbeReport;
  /** Rejects if the agent must end, at any point of its start. */
  readonly #failed = Promise.withResolvers<never>();
  #savedTried = false;
  /** As the lease says it. */
  #dataPath: DataPathName | undefined;

  constructor(components: AgentComponents, options: AgentOptions) {
    const { state } = components;
    this.#components = components;
    const tasks = new TaskGroup((name, error) => this.#onTaskDied(name, error));
    this.#tasks = tasks;
    this.#peerTimes = new PeerTimes(components.clock);
    this.#readiness = new Readiness({ ...components, tasks });
    const membership = components.createMembership({
      onLease: (lease) => this.#onLease(lease),
      onSubnetChanged: (subnet) => this.#onSubnetChanged(subnet),
      onEtcd: (trouble) => this.#onEtcd(trouble),
      onPeers: (diff) => this.#onPeers(diff),
      onPeersKnown: () => {
        this.#supervisor.confirmPeers();
        this.#readiness.onPeersKnown();
      },
      onPeersUnconfirmed: (text) => this.#onPeersUnconfirmed(text),
    });
    this.#membership = membership;
    this.#joining = new Joining({ ...components, membership }, {
      etcd: options.etcd,
      onEtcd: (trouble) => this.#onEtcd(trouble),
      onStuck: () => this.#startFromSaved(),
      onConfig: () =>
        tasks.spawn("config watch", (signal) => changes.followConfig(signal)),
      onUnderlay: () =>
        tasks.spawn(
          "underlay watch",
          (signal) => changes.followUnderlay(signal),
        ),
    });
    const subnetChange = new SubnetChangeHook({
      ...components,
      tasks,
      end: (error) => this.#failed.reject(error),
    }, options.subnetChange);
    this.#supervisor = new NetworkSupervisor({
      ...components,
      tasks,
      onFilesWritten: (env) => subnetChange.onFilesWritten(env),
      advertise: (advertisement) => {
        this.#dataPath = advertisement.dataPath;
        membership.advertise(advertisement);
      },
      serve: (backendTypes) => membership.serve(backendTypes),
    }, options.network);
    this.#probeReport = new ProbeReport(state, components.clock, {
      underlay: () => this.#supervisor.current?.plan.underlay,
      underlayUse: () => this.#backend?.underlayUse(),
    });
    const place = new ProbePlace({
      clock: components.clock,
      state,
      network: () => this.#supervisor.current,
      dataPath: () => this.#dataPath,
    });
    this.probes = options.probePort === undefined
      ? undefined
      : new ProbeService(
        { ...components, ...components.probes },
        options.probePort,
        {
          target: () => place.target(),
          traffic: () => this.#backend?.peerTraffic() ?? [],
          onTick: (service) => this.#probeReport.update(service),
        },
      );
    const changes = new ChangeFollower({
      ...components,
      membership,
      joining: this.#joining,
      supervisor: this.#supervisor,
    }, options.etcd);
    state.attach({
      backend: () => this.#backend?.status(),
      backendRestarts: () => this.#backend?.restarts ?? 0,
      peerCount: () => this.#backend?.peers.size ?? 0,
      peerStates: () =>
        [...this.#backend?.peers ?? []].map(([subnet, { stale }]) => ({
          subnet,
          stale,
          probe: this.probes?.peers.get(subnet)?.probe.figures(
            components.clock.monotonic(),
          ),
        })),
      subnetCount: () => {
        const { current } = this.#supervisor;
        return current && poolSize(current.plan.config.pool);
      },
      peerTraffic: () => this.#backend?.peerTraffic() ?? [],
      dropSources: () => this.#backend?.dropSources() ?? [],
      peers: () =>
        [...this.#backend?.peers.values() ?? []].map((peer) => ({
          subnet: formatCidr(peer.subnet),
          publicIp: formatIpv4(peer.publicIp),
          backendType: peer.backendType,
          dataPath: peer.dataPath ?? null,
          stale: peer.stale,
          confirmed: timeOrNull(membership.confirmedAtMs(peer.subnet)),
          since: timeOrNull(this.#peerTimes.sinceMs(peer)),
          probe: this.#probeStatus(formatCidr(peer.subnet)),
        })),
      probes: () => this.probes && this.#probeReport.status(this.probes),
    });
    this.#failed.promise.catch(() => {});
  }

  /**
   * Runs until `signal` is aborted, then stops everything in order.
   *
   * @throws errors that waiting cannot cure, after stopping everything.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { state, notifier, clock } = this.#components;
    const reporter = new StatusReporter(state, notifier, clock);
    reporter.start();
    const ending = AbortSignal.any([signal, this.#tasks.signal]);
    const { probes } = this;
    if (probes !== undefined) {
      this.#tasks.spawn("probes", (stopping) => probes.run(stopping));
    }
    const end = untilAborted(ending);
    try {
      await Promise.race([
        this.#start(ending).then(() => end.promise),
        this.#failed.promise,
        end.promise,
      ]);
    } finally {
      end.dispose();
      reporter.stop();
      await this.#stop();
    }
  }

  /** Logs one line with all counters: on SIGUSR1 and at the end. */
  logCounters(): void {
    const status = this.#backend?.status();
    log.info("counters", {
      event: "agent.counters",
      dataPath: status?.dataPath ?? "none",
      peers: this.#backend?.peers.size ?? 0,
      restarts: this.#backend?.restarts ?? 0,
      ...status?.counters,
    });
  }

  get #backend() {
    return this.#supervisor.current?.backend;
  }

  async #start(signal: AbortSignal): Promise<void> {
    const plan = await this.#joining.join(signal);
    // Both at once: the peers are listed while the device is created.
    const serving = this.#supervisor.replan(plan, signal);
    this.#tasks.spawn("membership", (ending) => this.#membership.run(ending));
    await serving;
    const { state } = this.#components;
    if (state.facts.fromSavedState) {
      state.set({ fromSavedState: false });
      log.info("network runs on live state", {
        event: "agent.live",
      });
    }
    await this.#readiness.waitForPeers(signal);
    this.#readiness.sayReady(this.#supervisor.current!);
  }

  /**
   * Called if etcd gives no usable answer at the start: serves from the state
   * of an earlier run, if there is one, while the start keeps waiting.
   */
  async #serveSaved(signal: AbortSignal): Promise<void> {
    const underlay = await this.#joining.findUnderlay(signal);
    const saved = await this.#membership.saved(underlay);
    const supervisor = this.#supervisor;
    // A live plan that arrived in the meantime takes precedence.
    if (saved === undefined || supervisor.isPlanned) return;
    const { config, subnet, peers } = saved;
    const { state } = this.#components;
    state.set({ network: formatCidr(config.pool.network) });
    log.warn("network starts from saved state", {
      event: "agent.from-saved-state",
      subnet: formatCidr(subnet),
      peers: peers.length,
    });
    const serving = supervisor.replan({ config, underlay, subnet }, signal);
    const diff = { added: peers, changed: [], removed: [] };
    await this.#applyPeers(diff);
    state.tellPeers(diff);
    await serving;
    if (state.facts.ready) return;
    state.set({ fromSavedState: true });
    this.#readiness.sayReady(supervisor.current!);
  }

  /** The part that talks to etcd logs the fault itself. */
  #onEtcd(trouble: string | undefined): void {
    const { state } = this.#components;
    if (trouble === undefined) {
      state.clear("etcd.unavailable");
      return;
    }
    state.raise("etcd.unavailable", trouble);
    this.#startFromSaved();
  }

  /** Called once, and only while nothing runs. */
  #startFromSaved(): void {
    if (this.#savedTried || this.#supervisor.isPlanned) return;
    this.#savedTried = true;
    this.#tasks.spawn("saved state", async (signal) => {
      try {
        await this.#serveSaved(signal);
      } catch (cause) {
        if (!signal.aborted) this.#failed.reject(cause);
      }
    });
  }

  #onPeersUnconfirmed(text: string | undefined): void {
    const { state } = this.#components;
    if (text === undefined) {
      state.clear("peers.unconfirmed");
    } else if (state.raise("peers.unconfirmed", text)) {
      log.warn("etcd has not confirmed the peers for a while", {
        event: "peers.unconfirmed",
        reason: text,
      });
    }
  }

  #onLease(lease: LeaseStatus): void {
    const { state } = this.#components;
    state.set({ lease });
    const isHeld = lease.state === "held" || lease.state === "renewing";
    const code = lease.subnet === null ? "lease.missing" : "lease.not-held";
    if (isHeld || lease.cause === null) {
      state.clear("lease.missing");
      state.clear("lease.not-held");
    } else {
      state.raise(code, `lease is ${lease.state}: ${lease.cause}`);
      if (lease.subnet === null && !state.facts.ready) {
        state.waitFor("lease", lease.cause);
      }
    }
  }

  /** Moves what runs from the former plan to the new one. */
  #onSubnetChanged(subnet: Cidr): void {
    this.#tasks.spawn(
      "subnet change",
      () => this.#supervisor.change({ subnet }),
    );
  }

  async #onPeers(diff: PeerDiff): Promise<void> {
    const { state } = this.#components;
    await this.#applyPeers(diff);
    state.tellPeers(diff);
    state.clear("peers.unknown");
    state.set({});
    log.info("peers changed", {
      event: "peers.changed",
      added: diff.added.length,
      changed: diff.changed.length,
      removed: diff.removed.length,
      peers: this.#backend?.peers.size ?? 0,
    });
  }

  #probeStatus(subnet: string): PeerStatus["probe"] {
    const probed = this.probes?.peers.get(subnet);
    return probed === undefined ? null : this.#probeReport.peerStatus(probed);
  }

  #applyPeers(diff: PeerDiff): Promise<void> {
    this.#peerTimes.apply(diff);
    this.probes?.apply(diff);
    const { timeApply = (apply) => apply() } = this.#components;
    return timeApply(() => this.#supervisor.apply(diff));
  }

  #onTaskDied(name: string, error: unknown): void {
    this.#components.state.raise(
      "agent.task-died",
      `${name} has ended: ${describeError(error)}: systemctl restart loden`,
    );
    log.error("a part of the agent ended unexpectedly", {
      event: "agent.task-died",
      task: name,
      error,
    });
  }

  async #stop(): Promise<void> {
    const { state, notifier, registry, clock } = this.#components;
    log.info("stopping", { event: "agent.stopping", phase: state.phase });
    state.enter("stopping");
    notifier.stopping();
    // Before the data path stops, because its counters go with it.
    this.logCounters();
    const flowsOn = this.#backend?.status()?.outlivesAgent ?? false;
    const late = new AbortController();
    const stopped = Promise.allSettled([
      this.#tasks.stop(),
      this.#supervisor.stop(),
      this.#membership.close(),
    ]);
    const results = await Promise.race([
      stopped,
      clock.sleep(STOP_PATIENCE_MS, late.signal).then(
        () => undefined,
        () => undefined,
      ),
    ]);
    late.abort();
    if (results === undefined) {
      log.warn("some parts did not stop in time and are left behind", {
        event: "agent.stop-late",
        afterMs: STOP_PATIENCE_MS,
      });
    }
    for (const result of results ?? []) {
      if (result.status === "fulfilled") continue;
      log.warn("a part did not stop cleanly", {
        event: "agent.stop-failed",
        error: result.reason,
      });
    }
    registry.close();
    state.set({ ready: false });
    state.enter("stopped");
    // systemd keeps showing this after the unit has stopped.
    notifier.status(
      flowsOn ? "stopped; packets still flow in the kernel" : "stopped",
    );
    log.info("stopped", { event: "agent.stopped", packetsFlowOn: flowsOn });
  }
}

/** A promise that resolves on abort; disposing of it removes the listener. */
function untilAborted(
  signal: AbortSignal,
): { promise: Promise<void>; dispose: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const onAbort = () => resolve();
  if (signal.aborted) resolve();
  signal.addEventListener("abort", onAbort, { once: true });
  return {
    promise,
    dispose: () => signal.removeEventListener("abort", onAbort),
  };
}

function timeOrNull(milliseconds: number | undefined): string | null {
  return milliseconds === undefined ? null : formatTime(milliseconds);
}
