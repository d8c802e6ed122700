/**
 * Follows the network config in etcd while the network runs.
 *
 * @module
 */

import { BACKENDS } from "../../backend/backends.ts";
import { getLogger } from "@logtape/logtape";
import {
  type NetworkConfig,
  parseNetworkConfig,
} from "../../config/network/network.ts";
import { shownConfig } from "../../config/network/shown_config.ts";
import { describeError, LodenError } from "../../errors.ts";
import { RegistryError } from "../../lease/errors.ts";
import type { LeaseRegistry, StoredConfig } from "../../lease/registry.ts";
import { RegistryPauses } from "../../lease/registry_pauses.ts";
import { planConfigChange, type RunningConfig } from "./config_change.ts";
import { ConfigDeletedError } from "../errors.ts";
import { configCommands, type EtcdSettings } from "./missing_config.ts";
import type { RetryComponents } from "../tasks/retry.ts";
import type { AgentState } from "../status/state.ts";

const log = getLogger(["loden", "agent"]);

/** What the watch needs. */
export interface ConfigWatchComponents extends RetryComponents {
  readonly registry: Pick<LeaseRegistry, "watchConfig">;
  readonly state: AgentState;
  /** Why this host does not use a backend; undefined: it does. */
  readonly refuseBackend: (type: string) => LodenError | undefined;
}

/** Options of the watch. */
export interface ConfigWatchOptions {
  readonly etcd: EtcdSettings;
  /** What runs now. */
  readonly running: () => RunningConfig;
  /**
   * Applies this config with the same subnet. Does not wait until that is done.
   *
   * @throws {LodenError} if it cannot be applied; nothing has changed then.
   */
  readonly apply: (config: NetworkConfig) => Promise<void>;
}

/**
 * Applies or refuses each new config; the network keeps running in both cases.
 * A refusal raises a warning until the config is valid again.
 */
export class ConfigWatch {
  readonly #components: ConfigWatchComponents;
  readonly #options: ConfigWatchOptions;
  readonly #pauses: RegistryPauses;
  /** The code of etcd's last fault. */
  #trouble: string | undefined;

  constructor(components: ConfigWatchComponents, options: ConfigWatchOptions) {
    this.#components = components;
    this.#options = options;
    this.#pauses = new RegistryPauses(components.random);
  }

  /** Runs until the signal is aborted; resolves then. */
  async run(signal: AbortSignal): Promise<void> {
    const { registry, clock } = this.#components;
    while (!signal.aborted) {
      try {
        for await (const stored of registry.watchConfig(signal)) {
          this.#trouble = undefined;
          this.#pauses.reset();
          await this.#onConfig(stored);
        }
      } catch (error) {
        if (signal.aborted) return;
        const pauseMs = this.#pauses.next(this.#onTrouble(error));
        // Only the signal interrupts a sleep.
        await clock.sleep(pauseMs, signal).catch(() => {});
      }
    }
  }

  async #onConfig(stored: StoredConfig | undefined): Promise<void> {
    try {
      await this.#take(stored);
    } catch (error) {
      if (!(error instanceof LodenError)) throw error;
      this.#refuse(error);
      return;
    }
    this.#accept();
  }

  async #take(stored: StoredConfig | undefined): Promise<void> {
    const { etcd, running, apply } = this.#options;
    const before = running();
    const key = `${etcd.etcdPrefix}/config`;
    const former = shownConfig(before.config.raw, BACKENDS);
    const [etcdctl, loden] = configCommands(etcd, former);
    if (stored === undefined) {
      throw new ConfigDeletedError(key, `${etcdctl} or ${loden}`);
    }
    if (stored.text === before.config.raw) return;
    const config = parseNetworkConfig(stored.text, BACKENDS, key);
    const refusal = this.#components.refuseBackend(config.backend.type);
    if (refusal !== undefined) throw refusal;
    const { values, needsReplan } = planConfigChange(
      before,
      config,
      loden,
    );
    await apply(config);
    logIgnoredKeys(config);
    log.info("changed network config is applied", {
      event: "config.changed",
      changes: values.map(({ key, from, to }) => `${key}: ${from} -> ${to}`),
      replan: needsReplan,
    });
  }

  #refuse(error: LodenError): void {
    if (!this.#components.state.raise("config.refused", describeError(error))) {
      return;
    }
    log.warn(
      "published network config is refused; the running one stays in use",
      {
        event: "config.refused",
        error,
      },
    );
  }

  #accept(): void {
    if (!this.#components.state.clear("config.refused")) return;
    log.info("published network config matches the running one again", {
      event: "config.accepted",
    });
  }

  /** The lease keeper reports that etcd is away. @returns the code. */
  #onTrouble(error: unknown): string {
    if (error instanceof RegistryError && error.fault === "bad-value") {
      this.#refuse(error);
      return error.code;
    }
    const code = error instanceof LodenError ? error.code : "unexpected";
    if (code !== this.#trouble) {
      this.#trouble = code;
      log.debug("network config cannot be watched", {
        event: "config.unwatched",
        error,
      });
    }
    return code;
  }
}

/** Logs one line for each, with a suggestion. */
export function logIgnoredKeys({ ignoredKeys }: NetworkConfig): void {
  for (const { key, near } of ignoredKeys) {
    log.warn("key in the network config has no effect", {
      event: "config.key-ignored",
      key,
      didYouMean: near,
    });
  }
}
