/**
 * Keeps the host's firewall as a network's plan requires.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { NetworkConfig } from "../../config/network/network.ts";
import { describeError } from "../../errors.ts";
import type { FirewallRules } from "../../host/firewall/firewall.ts";
import type {
  FirewallDevices,
  FirewallEvents,
  FirewallKeeper,
} from "../../host/firewall/firewall_keeper.ts";
import { type Cidr, equalCidr } from "../../net/cidr.ts";
import type { NetworkPlan } from "./network_plan.ts";
import { type RetryComponents, retryUntilDone } from "../tasks/retry.ts";
import type { AgentState } from "../status/state.ts";

const log = getLogger(["loden", "agent"]);

/** Where a tool refuses for reasons of its own. */
const SHOW = "loden firewall show";

/** The keeper of the host's firewall. */
export type FirewallSupervisor = Pick<
  FirewallKeeper,
  "ensure" | "setOverlayDevices" | "start" | "stop" | "status"
>;

/** What it needs. */
export interface NetworkFirewallComponents extends RetryComponents {
  readonly state: AgentState;
  readonly createFirewall: (
    config: NetworkConfig,
    events: FirewallEvents,
    devices: FirewallDevices,
  ) => FirewallSupervisor;
}

/** The settings. */
export interface NetworkFirewallOptions {
  readonly ipMasq: boolean;
  readonly forwardRules: boolean;
  readonly randomFully: boolean;
  /** Whether containers are kept from speaking as others. */
  readonly antiSpoofing: boolean;
  /** The network in the last run's subnet file. */
  readonly formerNetwork: Cidr | undefined;
}

/** The rules that a network needs. */
export function firewallRules(
  { network, subnet }: Pick<FirewallRules, "network" | "subnet">,
  options: NetworkFirewallOptions,
): FirewallRules {
  const { ipMasq, forwardRules, randomFully, formerNetwork } = options;
  const isFormer = formerNetwork !== undefined &&
    !equalCidr(formerNetwork, network);
  return {
    network,
    subnet,
    masquerade: ipMasq,
    forward: forwardRules,
    randomFully,
    formerNetwork: isFormer ? formerNetwork : undefined,
  };
}

/** What one supervisor keeps. */
interface Kept {
  readonly supervisor: FirewallSupervisor;
  readonly enableNfTables: NetworkConfig["enableNfTables"];
}

/** Rules that follow the plan, and their warnings. */
export class NetworkFirewall {
  readonly #components: NetworkFirewallComponents;
  readonly #options: NetworkFirewallOptions;
  readonly #hostDevices: FirewallDevices;
  #kept: Kept | undefined;
  /** `undefined` until they are known. */
  #devices: Parameters<FirewallSupervisor["setOverlayDevices"]> | undefined;
  #network: Cidr | undefined;
  /** The network whose rules are to be removed. */
  #formerNetwork: Cidr | undefined;

  constructor(
    components: NetworkFirewallComponents,
    options: NetworkFirewallOptions,
    devices: FirewallDevices,
  ) {
    this.#components = components;
    this.#options = options;
    this.#hostDevices = options.antiSpoofing
      ? devices
      : { ...devices, antiSpoofing: undefined };
    this.#network = options.formerNetwork;
  }

  /**
   * Sets the rules and keeps them until `ending`. If containers need them
   * (`--ip-masq`), it resolves when they are in place, otherwise after the
   * first attempt.
   *
   * @throws the signal's reason if aborted.
   */
  async ensure(
    { config, subnet }: NetworkPlan,
    signal: AbortSignal,
    ending: AbortSignal,
  ): Promise<void> {
    const { ipMasq, forwardRules, antiSpoofing } = this.#options;
    const { network } = config.pool;
    const supervisor = await this.#supervisorFor(config);
    if (this.#network !== undefined && !equalCidr(this.#network, network)) {
      this.#formerNetwork = this.#network;
    }
    this.#network = network;
    const rules = firewallRules({ network, subnet }, {
      ...this.#options,
      formerNetwork: this.#formerNetwork,
    });
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
        // Docker masquerades, so packets flow if FORWARD accepts them. The
        // keeper keeps trying, and nothing has to wait for it.
        log.debug(
          "firewall rules are not in place yet; trying again in the background",
          {
            event: "firewall.deferred",
            error,
          },
        );
      }
    }
    if (ipMasq || forwardRules || antiSpoofing) supervisor.start(ending);
  }

  /** Packets from these devices bypass Docker's drop rules. */
  setOverlayDevices(
    overlayDevice: string | undefined,
    formerDevices: readonly string[],
  ): void {
    this.#devices = [overlayDevice, formerDevices];
    this.#kept?.supervisor.setOverlayDevices(overlayDevice, formerDevices);
  }

  /** The rules stay. */
  async stop(): Promise<void> {
    await this.#kept?.supervisor.stop();
  }

  /**
   * The running supervisor, or a new one if the config selects another tool.
   */
  async #supervisorFor(config: NetworkConfig): Promise<FirewallSupervisor> {
    const before = this.#kept;
    if (before?.enableNfTables === config.enableNfTables) {
      return before.supervisor;
    }
    const supervisor = this.#components.createFirewall(
      config,
      {
        onResult: (error) => this.#onResult(error),
        onAntiSpoofing: (error) => this.#onAntiSpoofing(error),
      },
      this.#hostDevices,
    );
    if (this.#devices) supervisor.setOverlayDevices(...this.#devices);
    this.#kept = { supervisor, enableNfTables: config.enableNfTables };
    await before?.supervisor.stop();
    return supervisor;
  }

  #onAntiSpoofing(error: unknown | undefined): void {
    const { state } = this.#components;
    const code = "firewall.anti-spoofing-missing";
    if (error === undefined) {
      state.clear(code);
      return;
    }
    if (!state.raise(code, describeError(error, SHOW))) return;
    log.warn("rules against spoofing are not in place", {
      event: "firewall.spoofing-open",
      error,
    });
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
    const reason = describeError(error, SHOW);
    state.raise(code, reason);
    if (state.phase === "setting-firewall") state.waitFor("firewall", reason);
  }
}
