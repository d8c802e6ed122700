/**
 * The run loop: in which order the parts start and stop.
 *
 * It touches neither the kernel nor etcd itself, and nothing that happens to
 * etcd or to the lease ends it.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { NetworkConfigError } from "../config/errors.ts";
import { type NetworkConfig, parseNetworkConfig } from "../config/network.ts";
import { describeError } from "../errors.ts";
import type { ServiceNotifier } from "../host/systemd.ts";
import type { UnderlayWarning } from "../host/underlay_warnings.ts";
import type { LeaseRegistry } from "../lease/registry.ts";
import { type Cidr, formatCidr } from "../net/cidr.ts";
import { formatIpv4 } from "../net/ipv4.ts";
import type { PeerDiff } from "../net/peer.ts";
import type { Underlay } from "../net/underlay.ts";
import type { Footprint } from "./footprint.ts";
import type { Membership, MembershipEvents } from "./membership.ts";
import { ConfigMissingError, type EtcdSettings } from "./missing_config.ts";
import {
  describePlan,
  isSamePlan,
  Network,
  type NetworkComponents,
  type NetworkOptions,
  type NetworkPlan,
} from "./network.ts";
import { retryUntilDone } from "./retry.ts";
import type { AgentPhase, LeaseStatus } from "./state.ts";
import { describeStatus } from "./status_line.ts";
import { StatusReporter } from "./status_reporter.ts";
import { TaskGroup } from "./task_group.ts";

const log = getLogger(["loden", "agent"]);

/** READY does not wait longer for the first list of peers. */
const PEERS_PATIENCE_MS = 5_000;
/** Between attempts to tell the service manager. */
const READY_PAUSE_MS = 1_000;
/** An etcd that says nothing for so long is as good as away. */
const ETCD_PATIENCE_MS = 2_000;
/** What has not stopped by then is left behind: the whole stop takes a second. */
const STOP_PATIENCE_MS = 800;

/** The interface that was chosen, and what looks wrong about it. */
export interface UnderlayChoice {
  readonly underlay: Underlay;
  readonly warnings: readonly UnderlayWarning[];
}

/** The agent's parts. */
export interface AgentComponents
  extends Omit<NetworkComponents, "tasks" | "advertise"> {
  readonly registry: Pick<LeaseRegistry, "readConfig" | "close">;
  readonly createMembership: (events: MembershipEvents) => Membership;
  readonly pickUnderlay: () => UnderlayChoice;
  readonly notifier: ServiceNotifier;
  /** Throws when another agent of this host has a network that overlaps. */
  readonly refuseNetworkOfOthers: (network: Cidr) => Promise<void>;
  /** Writes down what the agent is about to leave on the host. */
  readonly saveFootprint: (footprint: Footprint) => Promise<void>;
}

/** What a person sets. */
export interface AgentOptions {
  readonly etcd: EtcdSettings;
  readonly network: NetworkOptions;
}

/** One run of the agent. */
export class Agent {
  readonly #components: AgentComponents;
  readonly #options: AgentOptions;
  readonly #tasks: TaskGroup;
  readonly #membership: Membership;
  readonly #peersKnown = Promise.withResolvers<void>();
  /** Rejects when a start from saved state meets what waiting cannot cure. */
  readonly #failed = Promise.withResolvers<never>();
  #underlay: Promise<Underlay> | undefined;
  #network: Network | undefined;
  #networkStarted: Promise<void> = Promise.resolve();
  #savedTried = false;

  constructor(components: AgentComponents, options: AgentOptions) {
    this.#components = components;
    this.#options = options;
    this.#tasks = new TaskGroup((name, error) => this.#onTaskDied(name, error));
    this.#membership = components.createMembership({
      onLease: (lease) => this.#onLease(lease),
      onEtcd: (trouble) => this.#onEtcd(trouble),
      onPeers: (diff) => this.#onPeers(diff),
      onPeersKnown: () => this.#peersKnown.resolve(),
    });
    components.state.attach({
      backend: () => this.#network?.dataPath.status(),
      backendRestarts: () => this.#network?.dataPath.restarts ?? 0,
      peerCount: () => this.#network?.dataPath.peers.size ?? 0,
      peers: () =>
        [...this.#network?.dataPath.peers.values() ?? []].map((peer) => ({
          subnet: formatCidr(peer.subnet),
          publicIp: formatIpv4(peer.publicIp),
          backendType: peer.backendType,
          dataPath: peer.dataPath ?? null,
          stale: peer.stale,
        })),
    });
    this.#failed.promise.catch(() => {});
  }

  /**
   * Runs until `signal` is aborted, then stops everything in order.
   *
   * @throws what waiting cannot cure, after having stopped everything.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { state, notifier, clock } = this.#components;
    const reporter = new StatusReporter(state, notifier, clock);
    reporter.start();
    const ending = AbortSignal.any([signal, this.#tasks.signal]);
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

  /** One line with all counters: on SIGUSR1 and at the end. */
  logCounters(): void {
    const dataPath = this.#network?.dataPath;
    const status = dataPath?.status();
    log.info("counters", {
      event: "agent.counters",
      dataPath: status?.dataPath ?? "none",
      peers: dataPath?.peers.size ?? 0,
      restarts: dataPath?.restarts ?? 0,
      ...status?.counters,
    });
  }

  async #start(signal: AbortSignal): Promise<void> {
    const plan = await this.#join(signal);
    // Both at once: the peers' list is on its way while the device is made.
    const serving = this.#serve(plan, signal);
    this.#tasks.spawn("membership", (ending) => this.#membership.run(ending));
    await serving;
    const { state, clock } = this.#components;
    if (state.facts.fromSavedState) {
      state.set({ fromSavedState: false });
      log.info("network runs on live state", {
        event: "agent.live",
      });
    }
    const patience = new AbortController();
    const stopWaiting = AbortSignal.any([signal, patience.signal]);
    const known = await Promise.race([
      this.#peersKnown.promise.then(() => true),
      clock.sleep(PEERS_PATIENCE_MS, stopWaiting).then(
        () => false,
        () => false,
      ),
    ]);
    patience.abort();
    signal.throwIfAborted();
    if (!known) this.#warnUnknownPeers();
    this.#sayReady();
  }

  /** Everything that has to be known before packets can flow. */
  async #join(signal: AbortSignal): Promise<NetworkPlan> {
    this.#enter("reading-config");
    const config = await this.#readConfig(signal);
    this.#enter("finding-underlay");
    const underlay = await this.#findUnderlay(signal);
    this.#enter("acquiring-lease");
    const advertisement = this.#components.createBackend(config).advertise();
    const { subnet } = await this.#membership.acquire(
      { config, underlay, advertisement },
      signal,
    );
    this.#components.state.clear("lease.missing");
    return { config, underlay, subnet };
  }

  async #readConfig(signal: AbortSignal): Promise<NetworkConfig> {
    const { registry, state } = this.#components;
    const { etcd } = this.#options;
    const source = `${etcd.etcdPrefix}/config`;
    const answered = new AbortController();
    this.#components.clock.sleep(
      ETCD_PATIENCE_MS,
      AbortSignal.any([signal, answered.signal]),
    ).then(() => this.#startFromSaved(), () => {});
    const config = await retryUntilDone(
      async (ending) => {
        const stored = await registry.readConfig(ending);
        answered.abort();
        this.#onEtcd(undefined);
        if (stored === undefined) throw new ConfigMissingError(etcd);
        return parseNetworkConfig(stored.text, source);
      },
      this.#components,
      { signal, onFailure: (error) => this.#onConfigFailure(error) },
    );
    state.clear("config.missing");
    state.clear("config.invalid");
    state.set({ network: formatCidr(config.pool.network) });
    for (const { key, near } of config.ignoredKeys) {
      log.warn("key in the network config has no effect", {
        event: "config.key-ignored",
        key,
        didYouMean: near,
      });
    }
    log.info("network config read", {
      event: "config.read",
      network: formatCidr(config.pool.network),
      subnetLength: config.pool.subnetLength,
      backend: config.backend.type,
    });
    return config;
  }

  #onConfigFailure(error: unknown): void {
    const { state } = this.#components;
    const reason = describeError(error);
    if (error instanceof ConfigMissingError) {
      state.raise("config.missing", reason);
      state.clear("config.invalid");
    } else if (error instanceof NetworkConfigError) {
      state.raise("config.invalid", reason);
      state.clear("config.missing");
    } else {
      this.#onEtcd(reason);
    }
    // A config that was wiped or spoilt must not cost more than etcd itself.
    this.#startFromSaved();
    this.#waitFor(error);
  }

  /** Once: what was found is kept, whoever asks next. */
  #findUnderlay(signal: AbortSignal): Promise<Underlay> {
    this.#underlay ??= this.#searchUnderlay(signal);
    return this.#underlay;
  }

  async #searchUnderlay(signal: AbortSignal): Promise<Underlay> {
    const { state, pickUnderlay } = this.#components;
    const { underlay, warnings } = await retryUntilDone(
      pickUnderlay,
      this.#components,
      {
        signal,
        onFailure: (error) => {
          state.raise("underlay.missing", describeError(error));
          this.#waitFor(error);
        },
      },
    );
    state.clear("underlay.missing");
    const address = formatIpv4(underlay.address);
    const publicIp = formatIpv4(underlay.publicIp);
    const { interfaceName, mtuBytes } = underlay;
    state.set({
      underlay: { interface: interfaceName, address, publicIp, mtuBytes },
    });
    log.info("underlay chosen", {
      event: "underlay.chosen",
      interface: interfaceName,
      address,
      publicIp,
      mtuBytes,
    });
    for (const { code, text, fix } of warnings) {
      if (!state.raise(code, `${text}: ${fix}`)) continue;
      log.warn("underlay looks wrong", {
        event: "underlay.warning",
        code,
        reason: text,
        fix,
      });
    }
    return underlay;
  }

  /** Brings the network up, or goes on with the one that runs already. */
  async #serve(plan: NetworkPlan, signal: AbortSignal): Promise<void> {
    const before = this.#network;
    if (before !== undefined && isSamePlan(before.plan, plan)) {
      return await this.#networkStarted;
    }
    const network = new Network(
      plan,
      {
        ...this.#components,
        tasks: this.#tasks,
        advertise: (advertisement) => this.#membership.advertise(advertisement),
      },
      this.#options.network,
    );
    this.#network = network;
    this.#components.state.set({ subnet: formatCidr(plan.subnet) });
    this.#networkStarted = this.#replace(before, network, signal);
    await this.#networkStarted;
  }

  async #replace(
    before: Network | undefined,
    network: Network,
    signal: AbortSignal,
  ): Promise<void> {
    if (before !== undefined) {
      log.warn("network changes: Docker must be restarted", {
        event: "agent.plan-changed",
        from: describePlan(before.plan),
        to: describePlan(network.plan),
      });
      const peers = [...before.dataPath.peers.values()];
      await before.stop();
      await network.dataPath.apply({ added: peers, changed: [], removed: [] });
    }
    const { refuseNetworkOfOthers } = this.#components;
    await refuseNetworkOfOthers(network.plan.config.pool.network);
    await this.#saveFootprint(network.plan);
    await network.start(signal);
  }

  async #saveFootprint({ config, subnet }: NetworkPlan): Promise<void> {
    const { saveFootprint, files, state } = this.#components;
    try {
      await saveFootprint({
        network: config.pool.network,
        subnet,
        files: files.map(({ path }) => path),
      });
      state.clear("footprint.not-saved");
    } catch (error) {
      state.raise("footprint.not-saved", describeError(error));
      log.warn("what the agent leaves on the host cannot be written down", {
        event: "footprint.not-saved",
        error,
      });
    }
  }

  /**
   * Nothing can be learnt from etcd at the start: goes on with what an earlier run
   * saved, if there is such a thing, while the start goes on waiting.
   */
  async #serveSaved(signal: AbortSignal): Promise<void> {
    const underlay = await this.#findUnderlay(signal);
    const saved = await this.#membership.saved(underlay);
    // A live plan may have come in the meantime; it knows better.
    if (saved === undefined || this.#network !== undefined) return;
    const { config, subnet, peers } = saved;
    const { state } = this.#components;
    state.set({ network: formatCidr(config.pool.network) });
    log.warn("network starts from saved state", {
      event: "agent.from-saved-state",
      subnet: formatCidr(subnet),
      peers: peers.length,
    });
    const serving = this.#serve({ config, underlay, subnet }, signal);
    await this.#network!.dataPath.apply({
      added: peers,
      changed: [],
      removed: [],
    });
    await serving;
    if (state.facts.ready) return;
    state.set({ fromSavedState: true });
    this.#sayReady();
  }

  #sayReady(): void {
    const { state } = this.#components;
    state.enter("running");
    if (state.facts.ready) return;
    state.set({ ready: true });
    this.#tasks.spawn("ready", (signal) => this.#notifyReady(signal));
    log.info("ready", {
      event: "agent.ready",
      ...describePlan(this.#network!.plan),
      peers: this.#network!.dataPath.peers.size,
      fromSavedState: state.facts.fromSavedState,
    });
  }

  /** Again until it is taken: a lost READY is a unit that times out. */
  async #notifyReady(signal: AbortSignal): Promise<void> {
    const { state, notifier, clock } = this.#components;
    while (!notifier.ready(describeStatus(state.summary()))) {
      await clock.sleep(READY_PAUSE_MS, signal);
    }
  }

  /** Who speaks with etcd logs the trouble itself. */
  #onEtcd(trouble: string | undefined): void {
    const { state } = this.#components;
    if (trouble === undefined) {
      state.clear("etcd.unavailable");
      return;
    }
    state.raise("etcd.unavailable", trouble);
    this.#startFromSaved();
  }

  /** Once, and only while nothing runs. */
  #startFromSaved(): void {
    if (this.#savedTried || this.#network !== undefined) return;
    this.#savedTried = true;
    this.#tasks.spawn("saved state", async (signal) => {
      try {
        await this.#serveSaved(signal);
      } catch (cause) {
        if (!signal.aborted) this.#failed.reject(cause);
      }
    });
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
        state.waitFor(lease.cause);
      }
    }
  }

  async #onPeers(diff: PeerDiff): Promise<void> {
    const { state } = this.#components;
    await this.#network?.dataPath.apply(diff);
    state.clear("peers.unknown");
    state.set({});
    log.info("peers changed", {
      event: "peers.changed",
      added: diff.added.length,
      changed: diff.changed.length,
      removed: diff.removed.length,
      peers: this.#network?.dataPath.peers.size ?? 0,
    });
  }

  #warnUnknownPeers(): void {
    const { state } = this.#components;
    const text = "the other hosts are not known yet";
    state.raise("peers.unknown", text);
    this.#peersKnown.promise.then(() => state.clear("peers.unknown"));
    log.warn("ready is said before the other hosts are known", {
      event: "peers.unknown",
    });
  }

  /** A network that runs from saved state is not "reading config" any more. */
  #enter(phase: AgentPhase): void {
    const { state } = this.#components;
    if (!state.facts.ready) state.enter(phase);
  }

  #waitFor(error: unknown): void {
    const { state } = this.#components;
    const { ready, fromSavedState } = state.facts;
    // A network that runs on what was saved is still waiting for etcd.
    if ((ready && !fromSavedState) || !state.waitFor(describeError(error))) {
      return;
    }
    log.warn("start is waiting", {
      event: "agent.waiting",
      phase: state.phase,
      error,
    });
  }

  #onTaskDied(name: string, error: unknown): void {
    this.#components.state.raise(
      "agent.task-died",
      `${name} has ended: ${describeError(error)}`,
    );
    log.error("a part of the agent has ended that must not", {
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
    // Before the data path is gone, and its counters with it.
    this.logCounters();
    const flowsOn = this.#network?.dataPath.status()?.outlivesAgent ?? false;
    const late = new AbortController();
    const stopped = Promise.allSettled([
      this.#tasks.stop(),
      this.#network?.stop(),
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
      log.warn("not everything stopped in time and is left behind", {
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
    // What systemd goes on showing of a unit that has ended.
    notifier.status(
      flowsOn ? "stopped; packets still flow in the kernel" : "stopped",
    );
    log.info("stopped", { event: "agent.stopped", packetsFlowOn: flowsOn });
  }
}

/** A promise that resolves at the abort; disposed of, it leaves no listener. */
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
