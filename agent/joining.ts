/**
 * Gets everything that is needed before packets can flow: config, underlay,
 * lease.
 *
 * @module
 */

import { BACKENDS } from "../backend/backends.ts";
import { getLogger } from "@logtape/logtape";
import type { Backend } from "../backend/backend.ts";
import { NetworkConfigError } from "../config/errors.ts";
import {
  type NetworkConfig,
  parseNetworkConfig,
} from "../config/network/network.ts";
import { describeError } from "../errors.ts";
import type { UnderlayWarning } from "../host/underlay/underlay_warnings.ts";
import type { LeaseRegistry } from "../lease/registry.ts";
import { type Cidr, formatCidr } from "../net/cidr.ts";
import { poolAdmits } from "../net/subnet_pool.ts";
import type { Underlay } from "../net/underlay.ts";
import { logIgnoredKeys } from "./changes/config_watch.ts";
import type { Membership } from "./membership.ts";
import {
  ConfigMissingError,
  type EtcdSettings,
} from "./changes/missing_config.ts";
import { type NetworkPlan, underlayStatus } from "./network/network_plan.ts";
import { type RetryComponents, retryUntilDone } from "./tasks/retry.ts";
import type { AgentState, WaitSubject } from "./status/state.ts";
import type { AgentPhase } from "./status/status_snapshot.ts";
import { reportUnderlayWarnings } from "./status/host_report.ts";

const log = getLogger(["loden", "agent"]);

/** An etcd that is silent for this long counts as away. */
const ETCD_PATIENCE_MS = 2_000;

/** The chosen interface, and warnings about it. */
export interface UnderlayChoice {
  readonly underlay: Underlay;
  readonly warnings: readonly UnderlayWarning[];
}

/** What joining needs. */
export interface JoiningComponents extends RetryComponents {
  readonly state: AgentState;
  readonly registry: Pick<LeaseRegistry, "readConfig">;
  readonly membership: Pick<Membership, "acquire">;
  readonly pickUnderlay: () => UnderlayChoice;
  readonly createBackend: (
    config: NetworkConfig,
    underlay: Underlay,
  ) => Backend;
}

/** Callbacks. */
export interface JoiningOptions {
  readonly etcd: EtcdSettings;
  /** Why etcd cannot be used; `undefined` if it can (again). */
  readonly onEtcd: (trouble: string | undefined) => void;
  /** etcd gives no usable answer: a saved network may start. */
  readonly onStuck: () => void;
  /** The config was read for the first time and may change from now on. */
  readonly onConfig: () => void;
  /** The same for the underlay. */
  readonly onUnderlay: () => void;
}

/** What the network will run with, as far as known. */
export type Joined = Partial<Pick<NetworkPlan, "config" | "underlay">>;

/** Waits for each of them in turn and reports what it waits for. */
export class Joining {
  readonly #components: JoiningComponents;
  readonly #options: JoiningOptions;
  #underlay: Promise<Underlay> | undefined;
  #known: Joined = {};

  constructor(components: JoiningComponents, options: JoiningOptions) {
    this.#components = components;
    this.#options = options;
  }

  /** What was found, and later changes. */
  get known(): Joined {
    return this.#known;
  }

  /** A part has changed. */
  follow(part: Joined): void {
    this.#known = { ...this.#known, ...part };
  }

  /**
   * The plan at the moment when the lease is acquired: config and underlay may
   * have changed while waiting for it.
   *
   * @throws errors that waiting cannot cure; the signal's reason if aborted.
   */
  async join(signal: AbortSignal): Promise<NetworkPlan> {
    this.#enter("reading-config");
    this.follow({ config: await this.#readConfig(signal) });
    this.#options.onConfig();
    this.#enter("finding-underlay");
    await this.findUnderlay(signal);
    this.#enter("acquiring-lease");
    for (;;) {
      const asked = this.#known.config;
      const subnet = await this.#acquire(signal);
      const { config, underlay } = this.#known;
      // Or the config changed at this moment; the next attempt sees it.
      if (config === asked || poolAdmits(config!.pool, subnet)) {
        return { config: config!, underlay: underlay!, subnet };
      }
    }
  }

  async #acquire(signal: AbortSignal): Promise<Cidr> {
    const { state, membership, createBackend } = this.#components;
    const { config, underlay } = this.#known;
    const backend = createBackend(config!, underlay!);
    await backend.prepare?.(signal);
    const advertisement = backend.advertise();
    const { subnet } = await membership.acquire(
      { config: config!, underlay: underlay!, advertisement },
      signal,
    );
    state.clear("lease.missing");
    return subnet;
  }

  /** Searched for once, by the first caller; returns the current underlay. */
  async findUnderlay(signal: AbortSignal): Promise<Underlay> {
    this.#underlay ??= this.#searchUnderlay(signal);
    await this.#underlay;
    return this.#known.underlay!;
  }

  async #readConfig(signal: AbortSignal): Promise<NetworkConfig> {
    const { registry, state, clock } = this.#components;
    const { etcd, onEtcd, onStuck } = this.#options;
    const source = `${etcd.etcdPrefix}/config`;
    const answered = new AbortController();
    clock.sleep(
      ETCD_PATIENCE_MS,
      AbortSignal.any([signal, answered.signal]),
    ).then(onStuck, () => {});
    const config = await retryUntilDone(
      async (ending) => {
        const stored = await registry.readConfig(ending);
        answered.abort();
        onEtcd(undefined);
        if (stored === undefined) throw new ConfigMissingError(etcd);
        return parseNetworkConfig(stored.text, BACKENDS, source);
      },
      this.#components,
      { signal, onFailure: (error) => this.#onConfigFailure(error) },
    );
    state.clear("config.missing");
    state.clear("config.invalid");
    state.stopWaitingFor("config");
    state.set({ network: formatCidr(config.pool.network) });
    logIgnoredKeys(config);
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
      this.#options.onEtcd(reason);
    }
    // A missing or invalid config must not do more harm than an unavailable
    // etcd.
    this.#options.onStuck();
    this.#waitFor("config", error);
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
          this.#waitFor("underlay", error);
        },
      },
    );
    state.clear("underlay.missing");
    state.stopWaitingFor("underlay");
    const shown = underlayStatus(underlay);
    state.set({ underlay: shown });
    log.info("underlay chosen", { event: "underlay.chosen", ...shown });
    reportUnderlayWarnings(warnings, state);
    this.follow({ underlay });
    this.#options.onUnderlay();
    return underlay;
  }

  /**
   * A network that runs from saved state is no longer in the phase "reading
   * config".
   */
  #enter(phase: AgentPhase): void {
    const { state } = this.#components;
    if (!state.facts.ready) state.enter(phase);
  }

  #waitFor(what: WaitSubject, error: unknown): void {
    const { state } = this.#components;
    const { ready, fromSavedState } = state.facts;
    // A network that runs from saved state is still waiting for etcd.
    if (ready && !fromSavedState) return;
    if (!state.waitFor(what, describeError(error))) return;
    log.warn("start is waiting", {
      event: "agent.waiting",
      phase: state.phase,
      error,
    });
  }
}
