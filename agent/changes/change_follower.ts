/**
 * Follows what may change under a network that runs or is about to: its config
 * in etcd and this host's underlay.
 *
 * @module
 */

import type { NetworkConfig } from "../../config/network/network.ts";
import type { LeaseRegistry } from "../../lease/registry.ts";
import type { Underlay } from "../../net/underlay.ts";
import { ConfigWatch, type ConfigWatchComponents } from "./config_watch.ts";
import type { Joining } from "../joining.ts";
import type { Membership } from "../membership.ts";
import type { EtcdSettings } from "./missing_config.ts";
import type { NetworkSupervisor } from "../network/network_supervisor.ts";
import type { RetryComponents } from "../tasks/retry.ts";
import type { AgentState } from "../status/state.ts";
import {
  isElsewhere,
  type UnderlayView,
  UnderlayWatch,
} from "./underlay_watch.ts";

/** What following needs. */
export interface ChangeFollowerComponents extends RetryComponents {
  readonly state: AgentState;
  readonly refuseBackend: ConfigWatchComponents["refuseBackend"];
  readonly registry: Pick<LeaseRegistry, "watchConfig" | "reconnect">;
  readonly underlayView: UnderlayView;
  readonly joining: Pick<Joining, "known" | "follow">;
  readonly membership: Pick<Membership, "update">;
  readonly supervisor: Pick<
    NetworkSupervisor,
    "change" | "current" | "isPlanned"
  >;
}

/** Passes each change to all parts that need it. */
export class ChangeFollower {
  readonly #components: ChangeFollowerComponents;
  readonly #etcd: EtcdSettings;

  constructor(components: ChangeFollowerComponents, etcd: EtcdSettings) {
    this.#components = components;
    this.#etcd = etcd;
  }

  /** Runs from the first read of the config until the signal is aborted. */
  async followConfig(signal: AbortSignal): Promise<void> {
    const { supervisor, joining } = this.#components;
    const watch = new ConfigWatch(this.#components, {
      etcd: this.#etcd,
      running: () => ({
        config: joining.known.config!,
        // A plan from saved state is about to be compared with the live config.
        subnet: supervisor.current?.plan.subnet,
        peers: [...supervisor.current?.backend.peers.values() ?? []]
          .map(({ subnet }) => subnet),
      }),
      apply: (config) => this.#useConfig(config),
    });
    await watch.run(signal);
  }

  /** Runs from the choice of the underlay until the signal is aborted. */
  async followUnderlay(signal: AbortSignal): Promise<void> {
    const watch = new UnderlayWatch(this.#components, {
      current: () => this.#components.joining.known.underlay!,
      apply: (underlay) => this.#useUnderlay(underlay),
    });
    await watch.run(signal);
  }

  async #useConfig(config: NetworkConfig): Promise<void> {
    const { joining, membership, supervisor } = this.#components;
    if (supervisor.isPlanned) await supervisor.change({ config });
    joining.follow({ config });
    membership.update({ config });
  }

  async #useUnderlay(underlay: Underlay): Promise<void> {
    const { joining, membership, registry, supervisor } = this.#components;
    const before = joining.known.underlay!;
    joining.follow({ underlay });
    if (supervisor.isPlanned) await supervisor.change({ underlay });
    // Their address or interface is gone, and nothing reports it to them.
    if (isElsewhere(before, underlay)) registry.reconnect();
    membership.update({ underlay });
  }
}
