/**
 * The host's firewall, as a network's plan wants it.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { NetworkConfig } from "../../config/network/network.ts";
import { describeError } from "../../errors.ts";
import type { FirewallRules } from "../../host/firewall/firewall.ts";
import type { FirewallStatus } from "../../host/firewall/firewall_keeper.ts";
import { type Cidr, equalCidr } from "../../net/cidr.ts";
import type { NetworkPlan } from "./network_plan.ts";
import { type RetryComponents, retryUntilDone } from "../tasks/retry.ts";
import type { AgentState } from "../status/state.ts";

const log = getLogger(["loden", "agent"]);

/** The host's firewall, kept as it should be (`host/firewall/firewall_keeper.ts`). */
export interface FirewallSupervisor {
  ensure(rules: FirewallRules, signal: AbortSignal): Promise<void>;
  setOverlayDevice(overlayDevice: string | undefined): void;
  start(signal: AbortSignal): void;
  stop(): Promise<void>;
  status(): FirewallStatus;
}

/** What it works with. */
export interface NetworkFirewallComponents extends RetryComponents {
  readonly state: AgentState;
  readonly createFirewall: (
    config: NetworkConfig,
    onResult: (error: unknown | undefined) => void,
  ) => FirewallSupervisor;
}

/** What a person sets. */
export interface NetworkFirewallOptions {
  readonly ipMasq: boolean;
  readonly forwardRules: boolean;
  readonly randomFully: boolean;
  /** The network that the last run's subnet file names. */
  readonly formerNetwork: Cidr | undefined;
}

/** What is kept by one supervisor. */
interface Kept {
  readonly supervisor: FirewallSupervisor;
  readonly enableNfTables: NetworkConfig["enableNfTables"];
}

/** Rules that follow the plan, and what is wrong with them. */
export class NetworkFirewall {
  readonly #components: NetworkFirewallComponents;
  readonly #options: NetworkFirewallOptions;
  #kept: Kept | undefined;
  #overlayDevice: string | undefined;
  #network: Cidr | undefined;
  /** Whose rules are to be removed. */
  #formerNetwork: Cidr | undefined;

  constructor(
    components: NetworkFirewallComponents,
    options: NetworkFirewallOptions,
  ) {
    this.#components = components;
    this.#options = options;
    this.#network = options.formerNetwork;
  }

  /**
   * Puts the rules in place, and keeps them so until `ending`. Where containers
   * need them (`--ip-masq`) it resolves when they are in place, and else when that
   * has been tried.
   *
   * @throws the signal's reason when aborted.
   */
  async ensure(
    { config, subnet }: NetworkPlan,
    signal: AbortSignal,
    ending: AbortSignal,
  ): Promise<void> {
    const { ipMasq, forwardRules, randomFully } = this.#options;
    const { network } = config.pool;
    const supervisor = await this.#supervisorFor(config);
    if (this.#network !== undefined && !equalCidr(this.#network, network)) {
      this.#formerNetwork = this.#network;
    }
    this.#network = network;
    const rules: FirewallRules = {
      network,
      subnet,
      masquerade: ipMasq,
      forward: forwardRules,
      randomFully,
      formerNetwork: this.#formerNetwork,
    };
    const ensure = () => supervisor.ensure(rules, signal);
    if (ipMasq) {
      // The keeper reports failures itself, to #onResult.
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
        log.debug(
          "firewall rules are not in place yet; trying again in the background",
          {
            event: "firewall.deferred",
            error,
          },
        );
      }
    }
    if (ipMasq || forwardRules) supervisor.start(ending);
  }

  /** What comes by the overlay's device passes rules of Docker's that drop. */
  setOverlayDevice(overlayDevice: string | undefined): void {
    this.#overlayDevice = overlayDevice;
    this.#kept?.supervisor.setOverlayDevice(overlayDevice);
  }

  /** The rules stay. */
  async stop(): Promise<void> {
    await this.#kept?.supervisor.stop();
  }

  /** The one that runs, or another one where the config wants another tool. */
  async #supervisorFor(config: NetworkConfig): Promise<FirewallSupervisor> {
    const before = this.#kept;
    if (before?.enableNfTables === config.enableNfTables) {
      return before.supervisor;
    }
    const supervisor = this.#components.createFirewall(
      config,
      (error) => this.#onResult(error),
    );
    if (this.#overlayDevice !== undefined) {
      supervisor.setOverlayDevice(this.#overlayDevice);
    }
    this.#kept = { supervisor, enableNfTables: config.enableNfTables };
    await before?.supervisor.stop();
    return supervisor;
  }

  #onResult(error: unknown | undefined): void {
    const { state } = this.#components;
    const { ipMasq, forwardRules } = this.#options;
    const { tool, inPlace } = this.#kept!.supervisor.status();
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
    if (state.phase === "setting-firewall") state.waitFor("firewall", reason);
  }
}
