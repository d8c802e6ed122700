/**
 * What runs on this host for one plan: data path, firewall rules, files.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { Backend, BackendAdvertisement } from "../backend/backend.ts";
import type { NetworkConfig } from "../config/network.ts";
import { describeError } from "../errors.ts";
import type { FirewallRules } from "../host/firewall/firewall.ts";
import type {
  DockerLook,
  DockerWatchSubject,
} from "../host/docker/docker_watch.ts";
import type { FirewallStatus } from "../host/firewall/firewall_keeper.ts";
import type { SysctlFinding } from "../host/sysctl_check.ts";
import { type Cidr, equalCidr, formatCidr } from "../net/cidr.ts";
import type { Overlay, Underlay } from "../net/underlay.ts";
import { DataPath } from "./data_path.ts";
import { reportDocker } from "./docker_report.ts";
import { type HostFile, writeHostFiles } from "./host_files.ts";
import { type RetryComponents, retryUntilDone } from "./retry.ts";
import type { AgentState } from "./state.ts";
import type { TaskGroup } from "./task_group.ts";

const log = getLogger(["loden", "agent"]);

/** All that decides what must run. */
export interface NetworkPlan {
  readonly config: NetworkConfig;
  readonly underlay: Underlay;
  /** This host's lease. */
  readonly subnet: Cidr;
}

/** Whether what runs for one plan serves the other as well. */
export function isSamePlan(a: NetworkPlan, b: NetworkPlan): boolean {
  return equalCidr(a.subnet, b.subnet) &&
    equalCidr(a.config.pool.network, b.config.pool.network) &&
    JSON.stringify(a.config.backend) === JSON.stringify(b.config.backend) &&
    a.config.enableNfTables === b.config.enableNfTables &&
    a.underlay.interfaceIndex === b.underlay.interfaceIndex &&
    a.underlay.address === b.underlay.address &&
    a.underlay.publicIp === b.underlay.publicIp &&
    a.underlay.mtuBytes === b.underlay.mtuBytes;
}

/** The host's firewall, kept as it should be (`host/firewall/firewall_keeper.ts`). */
export interface FirewallSupervisor {
  ensure(rules: FirewallRules, signal: AbortSignal): Promise<void>;
  start(signal: AbortSignal): void;
  stop(): Promise<void>;
  status(): FirewallStatus;
}

/** What Docker is held against. */
export type DockerOverlay = Omit<DockerWatchSubject, "forward">;

/** What a network is made of. */
export interface NetworkComponents extends RetryComponents {
  readonly state: AgentState;
  readonly tasks: TaskGroup;
  /** A new backend for each start. */
  readonly createBackend: (config: NetworkConfig) => Backend;
  /** What the host's lease must say of the backend from now on. */
  readonly advertise: (advertisement: BackendAdvertisement) => void;
  readonly createFirewall: (
    config: NetworkConfig,
    onResult: (error: unknown | undefined) => void,
  ) => FirewallSupervisor;
  /** In the order in which they are written. */
  readonly files: readonly HostFile[];
  /**
   * Makes sure that packets for this host's subnet are dropped while no bridge
   * takes them (`--ip-blackhole-route`).
   */
  readonly ensureBlackholeRoute: (subnet: Cidr) => void;
  /** Looks for kernel settings that keep packets back. */
  readonly checkSysctls: (devices: readonly string[]) => SysctlFinding[];
  /** Looks at the host's Docker until the abort (`host/docker/docker_watch.ts`). */
  readonly watchDocker: (
    overlay: DockerOverlay,
    onLook: (look: DockerLook) => void,
    signal: AbortSignal,
  ) => Promise<void>;
}

/** What a person sets. */
export interface NetworkOptions {
  readonly ipMasq: boolean;
  readonly forwardRules: boolean;
  readonly randomFully: boolean;
  readonly blackholeRoute: boolean;
  /** How often the blackhole route is looked at. */
  readonly resyncSeconds: number;
  /** The network that the last run's subnet file names. */
  readonly formerNetwork: Cidr | undefined;
}

/** One plan, running. */
export class Network {
  readonly plan: NetworkPlan;
  readonly dataPath: DataPath;
  readonly #components: NetworkComponents;
  readonly #options: NetworkOptions;
  readonly #firewall: FirewallSupervisor;
  readonly #stopping = new AbortController();
  #overlay: Overlay | undefined;
  #filesWritten = false;

  constructor(
    plan: NetworkPlan,
    components: NetworkComponents,
    options: NetworkOptions,
  ) {
    this.plan = plan;
    this.#components = components;
    this.#options = options;
    this.dataPath = new DataPath(components, {
      createBackend: () => components.createBackend(plan.config),
      events: {
        onWaiting: (error) => this.#onWaiting(error),
        onDown: (error, flowsOn) => this.#onDown(error, flowsOn),
        onUp: (overlay, advertisement) => {
          components.advertise(advertisement);
          this.#onUp(overlay);
        },
      },
    });
    this.#firewall = components.createFirewall(
      plan.config,
      (error) => this.#onFirewall(error),
    );
  }

  /**
   * Brings everything up; resolves when the host's other programs have been told.
   *
   * @throws what waiting cannot cure; the signal's reason when aborted.
   */
  async start(signal: AbortSignal): Promise<void> {
    const { state } = this.#components;
    const { config, subnet, underlay } = this.plan;
    const ending = AbortSignal.any([signal, this.#stopping.signal]);
    const network = config.pool.network;
    ending.throwIfAborted();
    state.enter("starting-data-path");
    // The rules need no device: both at once.
    const firewall = this.#setFirewall(ending);
    // A failure is seen where it is awaited, unless the data path fails first.
    firewall.catch(() => {});
    await this.dataPath.start({ network, subnet, underlay }, ending);
    if (this.#options.blackholeRoute) {
      this.#components.tasks.spawn(
        "blackhole route",
        () => this.#keepBlackholeRoute(this.#stopping.signal),
      );
    }
    if (this.#options.ipMasq) {
      // FLANNEL_IPMASQ=true makes Docker drop its own masquerade: rules first.
      state.enter("setting-firewall");
      await firewall;
    }
    state.enter("writing-files");
    await this.#writeFiles(ending);
    this.#filesWritten = true;
    this.#watchDocker(this.#overlay?.deviceName);
    await firewall;
  }

  /** Ends the process's part; what carries traffic without us stays. */
  async stop(): Promise<void> {
    this.#stopping.abort(new DOMException("stopping", "AbortError"));
    await Promise.all([this.#firewall.stop(), this.dataPath.stop()]);
  }

  async #setFirewall(signal: AbortSignal): Promise<void> {
    const { ipMasq, forwardRules, randomFully, formerNetwork } = this.#options;
    const network = this.plan.config.pool.network;
    const rules: FirewallRules = {
      network,
      subnet: this.plan.subnet,
      masquerade: ipMasq,
      forward: forwardRules,
      randomFully,
      formerNetwork: formerNetwork && !equalCidr(formerNetwork, network)
        ? formerNetwork
        : undefined,
    };
    const ensure = () => this.#firewall.ensure(rules, signal);
    if (ipMasq) {
      // The keeper reports failures itself, to #onFirewall.
      await retryUntilDone(ensure, this.#components, {
        signal,
        onFailure: () => {},
      });
    } else {
      try {
        await ensure();
      } catch (error) {
        signal.throwIfAborted();
        // Docker masquerades, so packets flow wherever FORWARD lets them: the
        // keeper goes on trying, and nobody has to wait for it.
        log.debug("firewall rules are left to the keeper", {
          event: "firewall.deferred",
          error,
        });
      }
    }
    if (ipMasq || forwardRules) this.#firewall.start(signal);
  }

  /** As flannel does, beside its firewall rules (compat 1.3). */
  async #keepBlackholeRoute(signal: AbortSignal): Promise<void> {
    const { clock, state, ensureBlackholeRoute } = this.#components;
    while (!signal.aborted) {
      try {
        ensureBlackholeRoute(this.plan.subnet);
        state.clear("host.blackhole-route");
      } catch (error) {
        if (state.raise("host.blackhole-route", describeError(error))) {
          log.warn("blackhole route cannot be set", {
            event: "host.blackhole-route-failed",
            error,
          });
        }
      }
      // The stop ends the pause.
      await clock.sleep(this.#options.resyncSeconds * 1_000, signal)
        .catch(() => {});
    }
  }

  #onFirewall(error: unknown | undefined): void {
    const { state } = this.#components;
    const { ipMasq, forwardRules } = this.#options;
    const { tool, inPlace } = this.#firewall.status();
    state.set({
      firewall: `${tool ?? "no tool"}, rules ${inPlace ? "" : "not "}in place`,
    });
    const code = ipMasq ? "firewall.missing" : "firewall.forward-missing";
    if (error === undefined || !(ipMasq || forwardRules)) {
      state.clear(code);
      return;
    }
    const reason = describeError(error);
    state.raise(code, reason);
    if (state.phase === "setting-firewall") state.waitFor(reason);
  }

  async #writeFiles(signal: AbortSignal): Promise<void> {
    await writeHostFiles(
      this.#components.files,
      {
        network: this.plan.config.pool.network,
        subnet: this.plan.subnet,
        mtuBytes: this.#overlay!.mtuBytes,
        ipMasq: this.#options.ipMasq,
      },
      this.#components,
      signal,
    );
  }

  /** Without a device, nothing comes over the overlay that Docker could drop. */
  #watchDocker(overlayDevice: string | undefined): void {
    if (overlayDevice === undefined) return;
    const { tasks, state, watchDocker } = this.#components;
    const { config, subnet } = this.plan;
    const overlay = { network: config.pool.network, subnet, overlayDevice };
    tasks.spawn("docker", () =>
      watchDocker(
        overlay,
        (look) => reportDocker(look, state),
        this.#stopping.signal,
      ));
  }

  #onWaiting(error: unknown): void {
    const { state } = this.#components;
    const reason = describeError(error);
    state.raise("data-path.not-started", reason);
    if (!state.waitFor(reason)) return;
    log.error("data path cannot be started yet", {
      event: "data-path.waiting",
      error,
    });
  }

  #onDown(error: unknown, flowsOn: boolean): void {
    const { state } = this.#components;
    const reason = describeError(error);
    if (flowsOn) {
      if (!state.raise("data-path.unattended", reason)) return;
      log.warn("data path is started anew, packets flow in the kernel", {
        event: "data-path.unattended",
        error,
      });
      return;
    }
    if (!state.raise("data-path.down", reason)) return;
    log.error("data path is down and is started anew", {
      event: "data-path.down",
      error,
    });
  }

  #onUp(overlay: Overlay): void {
    const { state, tasks } = this.#components;
    const former = this.#overlay;
    this.#overlay = overlay;
    state.clear("data-path.not-started");
    state.clear("data-path.down");
    state.clear("data-path.unattended");
    state.set({
      overlay: {
        device: overlay.deviceName ?? null,
        mtuBytes: overlay.mtuBytes,
      },
    });
    const status = this.dataPath.status();
    log.info("data path is up", {
      event: "data-path.up",
      backend: status?.type,
      dataPath: status?.dataPath,
      reason: status?.reason,
      device: overlay.deviceName,
      mtuBytes: overlay.mtuBytes,
    });
    this.#reportSysctls(overlay);
    if (this.#filesWritten && former?.mtuBytes !== overlay.mtuBytes) {
      log.warn("overlay MTU has changed: Docker must be restarted", {
        event: "overlay.mtu-changed",
        fromBytes: former?.mtuBytes,
        toBytes: overlay.mtuBytes,
      });
      tasks.spawn("files", () => this.#writeFiles(this.#stopping.signal));
    }
  }

  #reportSysctls({ deviceName }: Overlay): void {
    const { state, checkSysctls } = this.#components;
    const findings = checkSysctls(
      [deviceName, this.plan.underlay.interfaceName]
        .filter((name) => name !== undefined),
    ).filter(({ severity }) => severity === "warning");
    if (findings.length === 0) {
      state.clear("host.forwarding");
      return;
    }
    const text = findings.map(({ name, text, fix }) =>
      `${name}: ${text}: ${fix}`
    )
      .join("; ");
    if (!state.raise("host.forwarding", text)) return;
    log.warn("kernel does not forward the containers' packets", {
      event: "host.forwarding-off",
      settings: findings.map(({ name }) => name),
      fix: findings.map(({ fix }) => fix),
    });
  }
}

/** A plan in one line of the log. */
export function describePlan(plan: NetworkPlan): Record<string, unknown> {
  return {
    network: formatCidr(plan.config.pool.network),
    subnet: formatCidr(plan.subnet),
    backend: plan.config.backend.type,
    interface: plan.underlay.interfaceName,
  };
}
