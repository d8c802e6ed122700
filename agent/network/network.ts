/**
 * What runs on this host for one network: data path, firewall rules, files.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import {
  type Backend,
  BACKEND_WARNING_CODES,
  type BackendAdvertisement,
} from "../../backend/backend.ts";
import { backendOf } from "../../backend/backends.ts";
import type { Leftover } from "../../backend/leftovers.ts";
import type { BackendConfig } from "../../config/network/backend_spec.ts";
import type { NetworkConfig } from "../../config/network/network.ts";
import { describeError, LodenError } from "../../errors.ts";
import type {
  DockerLook,
  DockerWatchSubject,
} from "../../host/docker/docker_watch.ts";
import type { AntiSpoofing } from "../../host/firewall/firewall.ts";
import type { SubnetEnv } from "../../host/subnet_env.ts";
import type { SysctlFinding } from "../../host/sysctl_check.ts";
import { slept } from "../../linux/clock.ts";
import type { Cidr } from "../../net/cidr.ts";
import type { Overlay, Underlay } from "../../net/underlay.ts";
import {
  BlackholeRoute,
  type BlackholeRouteComponents,
} from "./blackhole_route.ts";
import { BackendSuccession } from "./backend_succession.ts";
import { careForLeftovers, clearLeftovers } from "./leftover_care.ts";
import {
  forgetDocker,
  reportDocker,
  SysctlReport,
} from "../status/host_report.ts";
import { type HostFile, writeHostFiles } from "./host_files.ts";
import {
  NetworkFirewall,
  type NetworkFirewallComponents,
  type NetworkFirewallOptions,
} from "./network_firewall.ts";
import {
  type AddressConflictComponents,
  waitForFreeAddresses,
} from "./address_conflicts.ts";
import { isSameBackend, type NetworkPlan } from "./network_plan.ts";
import { NewestTask } from "../tasks/newest_task.ts";
import type { AgentState } from "../status/state.ts";
import type { AgentPhase } from "../status/status_snapshot.ts";
import type { TaskGroup } from "../tasks/task_group.ts";

const log = getLogger(["loden", "agent"]);

/** For what the agent cannot explain itself. */
const DOCTOR = "loden doctor";

/** Interval between two checks of the kernel's settings. */
const SYSCTL_PAUSE_MS = 5_000;
/** So many of these checks for one look for what other backends have left. */
const LEFTOVER_ROUNDS = 12;

/** What Docker is compared with. */
export type DockerOverlay = Omit<DockerWatchSubject, "forward" | "masquerade">;

/** The parts of a network. */
export interface NetworkComponents
  extends
    NetworkFirewallComponents,
    BlackholeRouteComponents,
    AddressConflictComponents {
  readonly state: AgentState;
  readonly tasks: TaskGroup;
  /** Creates a backend for each start. */
  readonly createBackend: (
    config: NetworkConfig,
    underlay: Underlay,
  ) => Backend;
  /**
   * What others than these backends have left inside the network, as of now.
   */
  readonly findLeftovers: (
    config: NetworkConfig,
    present: readonly BackendConfig[],
  ) => readonly Leftover[];
  readonly removeLeftover: (leftover: Leftover) => void;
  /** The backends that this host serves peers by: the network's own first. */
  readonly onBackends: (backends: readonly BackendConfig[]) => void;
  /** Sets what the host's lease must contain about the backend from now on. */
  readonly advertise: (advertisement: BackendAdvertisement) => void;
  /** In the order in which they are written. */
  readonly files: readonly HostFile[];
  /** Called with the files' content after they were written. */
  readonly onFilesWritten: (env: SubnetEnv) => void;
  /**
   * Checks for kernel settings that block packets; with `--set-sysctls`, for
   * those that could not be set.
   */
  readonly checkSysctls: (devices: readonly string[]) => SysctlFinding[];
  /** Bridges of this host's containers, by their addresses. */
  readonly containerBridges: (
    subnet: Cidr,
    overlayDevice: string | undefined,
  ) => readonly string[];
  /**
   * Watches the host's Docker until aborted (`host/docker/docker_watch.ts`).
   */
  readonly watchDocker: (
    overlay: DockerOverlay,
    onLook: (look: DockerLook) => void,
    signal: AbortSignal,
  ) => Promise<void>;
}

/** The settings. */
export interface NetworkOptions extends NetworkFirewallOptions {
  readonly blackholeRoute: boolean;
  /** Whether to remove what flannel's other backends have left. */
  readonly takeOverDevices: boolean;
  /** The backends of an earlier run, whose peers may not have changed yet. */
  readonly formerBackends: readonly BackendConfig[];
}

/** One host's network: follows its plan and keeps what need not change. */
export class Network {
  readonly backend: BackendSuccession;
  readonly #components: NetworkComponents;
  readonly #options: NetworkOptions;
  readonly #firewall: NetworkFirewall;
  readonly #blackhole: BlackholeRoute;
  readonly #stopping = new AbortController();
  readonly #files = new NewestTask();
  readonly #dockerWatch = new NewestTask();
  #plan: NetworkPlan;
  /** The plan with which the data path was last started. */
  #started: NetworkPlan | undefined;
  readonly #sysctls: SysctlReport;
  #overlay: Overlay | undefined;
  /** The plan in the files; `undefined` while they do not match the plan. */
  #written: SubnetEnv | undefined;

  constructor(
    plan: NetworkPlan,
    components: NetworkComponents,
    options: NetworkOptions,
  ) {
    this.#plan = plan;
    this.#components = components;
    this.#options = options;
    this.backend = new BackendSuccession(components, {
      createBackend: (backend, underlay) =>
        components.createBackend({ ...this.#plan.config, backend }, underlay),
      former: options.formerBackends,
      onBackends: (backends) => {
        components.onBackends(backends);
        this.#tellFirewall();
        // A backend that had failed has removed nothing.
        if (this.#overlay !== undefined) this.#careForLeftovers();
      },
      events: {
        onWaiting: (error) => this.#onWaiting(error),
        onDown: (error, flowsOn) => this.#onDown(error, flowsOn),
        onUp: (overlay, advertisement) => {
          components.advertise(advertisement);
          this.#onUp(overlay);
        },
      },
    });
    this.#sysctls = new SysctlReport(components.state);
    this.#firewall = new NetworkFirewall(
      components,
      options,
      {
        antiSpoofing: () => this.#antiSpoofing(),
        directDevices: () => this.backend.directDevices(),
      },
    );
    this.#blackhole = new BlackholeRoute(components);
  }

  /** The wanted plan; {@linkcode bringUp} carries it out. */
  get plan(): NetworkPlan {
    return this.#plan;
  }

  /** Sets the plan; nothing changes before {@linkcode bringUp}. */
  adopt(plan: NetworkPlan): void {
    this.#plan = plan;
  }

  /**
   * Carries out the plan, for the first time or again; what already matches is
   * left alone. Resolves when the files for other programs are written.
   *
   * @throws errors that waiting cannot cure; the signal's reason if aborted.
   */
  async bringUp(signal: AbortSignal): Promise<void> {
    const plan = this.#plan;
    const ending = AbortSignal.any([signal, this.#stopping.signal]);
    ending.throwIfAborted();
    this.#enter("starting-data-path");
    const written = this.#written;
    // Until the end of this method, no other code writes the files.
    this.#written = undefined;
    if (this.#started === undefined || !isSameBackend(this.#started, plan)) {
      const runs = this.backend.backends
        .some(({ type }) => type === plan.config.backend.type);
      if (this.#overlay === undefined || !runs) {
        await this.#clearLeftovers(plan, ending);
      }
      // Before the rules, which would otherwise masquerade the wrong packets.
      await waitForFreeAddresses(plan.config, this.#components, ending);
    }
    // A running network enters no phase, which would end it.
    this.#components.state.stopWaitingFor("addresses");
    // The rules need no device, so both run at once.
    const firewall = this.#firewall.ensure(
      plan,
      ending,
      this.#stopping.signal,
    );
    // A failure is handled where it is awaited, unless the data path fails
    // first.
    firewall.catch(() => {});
    await this.#startBackend(plan, ending);
    if (this.#options.blackholeRoute && this.#blackhole.follow(plan.subnet)) {
      this.#components.tasks.spawn(
        "blackhole route",
        () => this.#blackhole.run(this.#stopping.signal),
      );
    }
    if (this.#options.ipMasq) {
      // FLANNEL_IPMASQ=true makes Docker drop its own masquerade, so the rules
      // come first.
      this.#enter("setting-firewall");
      await firewall;
    }
    this.#enter("writing-files");
    await this.#writeFiles(written, ending);
    this.#watchDocker();
    await firewall;
  }

  /**
   * Stops the process's part; whatever carries traffic without the agent stays.
   */
  async stop(): Promise<void> {
    this.#stopping.abort(new DOMException("stopping", "AbortError"));
    await Promise.all([this.#firewall.stop(), this.backend.stop()]);
  }

  /** A running network stays "running" while it changes. */
  #enter(phase: AgentPhase): void {
    const { state } = this.#components;
    if (!state.facts.ready) state.enter(phase);
  }

  async #startBackend(
    plan: NetworkPlan,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.#started !== undefined && isSameBackend(this.#started, plan)) {
      return;
    }
    const { config, subnet, underlay } = plan;
    const { network } = config.pool;
    this.#started = undefined;
    await this.backend.start(
      config.backend,
      { network, subnet, underlay },
      signal,
    );
    this.#started = plan;
  }

  async #clearLeftovers(
    { config }: NetworkPlan,
    signal: AbortSignal,
  ): Promise<void> {
    const { findLeftovers, removeLeftover } = this.#components;
    const { backends: running } = this.backend;
    const present = running.length === 0
      ? this.backend.planned(config.backend)
      : [config.backend, ...running];
    await clearLeftovers(this.#components, {
      find: () => findLeftovers(config, present),
      remove: removeLeftover,
      takeOver: this.#options.takeOverDevices,
      encrypts: backendOf(config.backend.type).encrypts ?? false,
    }, signal);
  }

  /**
   * Flannel's stay until an operator removes them; Loden's are of a former backend
   * that could not be removed in its time.
   */
  #careForLeftovers(): void {
    const { findLeftovers, removeLeftover, state } = this.#components;
    try {
      careForLeftovers({
        find: () => findLeftovers(this.#plan.config, this.backend.backends),
        remove: removeLeftover,
        takeOver: false,
      }, state);
    } catch (error) {
      if (!(error instanceof LodenError)) throw error;
      // On a busy host, the routes may change during each attempt to list them.
      log.debug("what other backends have left cannot be looked for", {
        event: "network.leftovers-unseen",
        error,
      });
    }
  }

  #tellFirewall(): void {
    if (this.#overlay === undefined) return;
    this.#firewall.setOverlayDevices(
      this.#overlay.deviceName,
      this.backend.formerDevices,
    );
  }

  async #writeFiles(
    written: SubnetEnv | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      const env = this.#env();
      if (JSON.stringify(written) === JSON.stringify(env)) break;
      const { files } = this.#components;
      await this.#files.run(
        (ending) => writeHostFiles(files, env, this.#components, ending),
        signal,
      );
      this.#components.onFilesWritten(env);
      // A data path that was restarted in the meantime may have another MTU.
      written = env;
    }
    this.#written = written;
  }

  #env(): SubnetEnv {
    return {
      network: this.#plan.config.pool.network,
      subnet: this.#plan.subnet,
      mtuBytes: this.#overlay!.mtuBytes,
      ipMasq: this.#options.ipMasq,
    };
  }

  /** A backend whose packets Docker cannot drop needs no look at Docker. */
  #watchDocker(): void {
    const { tasks, state, watchDocker } = this.#components;
    const { config, subnet } = this.#plan;
    const overlay: DockerOverlay = {
      network: config.pool.network,
      subnet,
      overlayDevice: this.#overlay?.deviceName,
      directDevices: () => this.backend.directDevices() ?? [],
    };
    const hasDevice = overlay.overlayDevice !== undefined ||
      this.backend.directDevices()?.length !== 0;
    const onLook = (look: DockerLook) => reportDocker(look, state);
    tasks.spawn("docker", () =>
      this.#dockerWatch.run(
        (ending) => {
          if (hasDevice) return watchDocker(overlay, onLook, ending);
          // What was found while a former backend had a device.
          forgetDocker(state);
          return Promise.resolve();
        },
        this.#stopping.signal,
      ));
  }

  /** Unknown while no data path runs. */
  #antiSpoofing(): AntiSpoofing | undefined {
    const underlay = this.backend.underlayUse();
    if (underlay === undefined || this.#overlay === undefined) return undefined;
    const bridges = this.#components.containerBridges(
      this.#plan.subnet,
      this.#overlay.deviceName,
    );
    return { underlay, bridges };
  }

  #onWaiting(error: unknown): void {
    const { state } = this.#components;
    const reason = describeError(error, DOCTOR);
    state.raise("data-path.not-started", reason);
    if (!state.waitFor("data-path", reason)) return;
    log.error("data path cannot be started yet", {
      event: "data-path.waiting",
      error,
    });
  }

  #onDown(error: unknown, flowsOn: boolean): void {
    const { state } = this.#components;
    const reason = describeError(error, DOCTOR);
    if (flowsOn) {
      if (!state.raise("data-path.unattended", reason)) return;
      log.warn("restarting the data path; packets keep flowing in the kernel", {
        event: "data-path.unattended",
        error,
      });
      return;
    }
    if (!state.raise("data-path.down", reason)) return;
    log.error("data path is down; restarting it", {
      event: "data-path.down",
      error,
    });
  }

  #onUp(overlay: Overlay): void {
    const { state, tasks } = this.#components;
    const former = this.#overlay;
    this.#overlay = overlay;
    this.#tellFirewall();
    state.stopWaitingFor("data-path");
    state.clear("data-path.not-started");
    state.clear("data-path.down");
    state.clear("data-path.unattended");
    state.set({
      overlay: {
        device: overlay.deviceName ?? null,
        mtuBytes: overlay.mtuBytes,
      },
    });
    const status = this.backend.status();
    this.#reportBackend();
    log.info("data path is up", {
      event: "data-path.up",
      backend: status?.type,
      dataPath: status?.dataPath,
      reason: status?.reason,
      device: overlay.deviceName,
      mtuBytes: overlay.mtuBytes,
    });
    this.#reportSysctls();
    if (former === undefined) {
      tasks.spawn("sysctls", () => this.#watchSysctls(this.#stopping.signal));
    }
    if (former === undefined || former.mtuBytes === overlay.mtuBytes) return;
    log.warn("overlay MTU has changed: Docker must be restarted", {
      event: "overlay.mtu-changed",
      fromBytes: former.mtuBytes,
      toBytes: overlay.mtuBytes,
    });
    const written = this.#written;
    if (written === undefined) return;
    tasks.spawn(
      "files",
      () => this.#writeFiles(written, this.#stopping.signal),
    );
  }

  /** Other programs change them as well, so they are checked for ever. */
  async #watchSysctls(signal: AbortSignal): Promise<void> {
    const { clock, state } = this.#components;
    for (
      let round = 0;
      await slept(clock, SYSCTL_PAUSE_MS, signal);
      round++
    ) {
      this.#reportSysctls();
      this.#reportBackend();
      const isRaised = state.warnings()
        .some(({ code }) => code === "network.leftovers");
      // It lists all routes.
      if (isRaised || round % LEFTOVER_ROUNDS === 0) this.#careForLeftovers();
    }
  }

  #reportBackend(): void {
    const { state } = this.#components;
    const warnings = this.backend.warnings();
    for (const code of BACKEND_WARNING_CODES) {
      const warning = warnings.find((each) => each.code === code);
      if (warning === undefined) state.clear(code);
      else state.raise(code, warning.text);
    }
  }

  #reportSysctls(): void {
    const devices = [
      this.#overlay?.deviceName,
      this.#plan.underlay.interfaceName,
    ].filter((name) => name !== undefined);
    this.#sysctls.report(this.#components.checkSysctls(devices));
  }
}
