/**
 * The firewall with iptables, legacy or on nf_tables, whichever the host uses.
 *
 * @module
 */

import type { CommandRunner } from "../../linux/command.ts";
import type { Firewall, FirewallRemoval, FirewallRules } from "./firewall.ts";
import {
  listIptables,
  planIptables,
  planIptablesRemoval,
} from "./iptables_plan.ts";
import { type IptablesTables, IptablesTool } from "./iptables_tool.ts";
import type { FirewallChange } from "./reach.ts";
import { NO_RULES, planRules } from "./rule_plan.ts";

/** {@linkcode Firewall} with iptables-save and iptables-restore. */
export class IptablesFirewall implements Firewall {
  readonly tool = "iptables";
  readonly purpose = "masquerade and forward";
  readonly #iptables: IptablesTool;

  /** @param options.command another name of iptables, such as `iptables-legacy`. */
  constructor(
    components: { runner: CommandRunner },
    options: { command?: string } = {},
  ) {
    this.#iptables = new IptablesTool(components.runner, options.command);
  }

  reportsChanges(signal: AbortSignal): Promise<boolean> {
    return this.#iptables.usesNfTables(signal);
  }

  async list(signal: AbortSignal): Promise<string[]> {
    return listIptables(await this.#iptables.read(signal));
  }

  async check(rules: FirewallRules, signal: AbortSignal): Promise<string[]> {
    const plan = await this.#planFor(rules, signal);
    return [...plan(await this.#iptables.read(signal)).lines];
  }

  async ensure(rules: FirewallRules, signal: AbortSignal): Promise<string[]> {
    const plan = await this.#planFor(rules, signal);
    return await this.#iptables.reach(plan, signal);
  }

  async remove(
    { network, dryRun }: FirewallRemoval,
    signal: AbortSignal,
  ): Promise<string[]> {
    const plan = network === undefined
      ? planIptablesRemoval
      : (tables: IptablesTables) =>
        planIptables(tables, {
          plan: NO_RULES,
          randomFully: false,
          networks: [network],
        });
    if (dryRun) return [...plan(await this.#iptables.read(signal)).lines];
    return await this.#iptables.reach(plan, signal);
  }

  async #planFor(
    rules: FirewallRules,
    signal: AbortSignal,
  ): Promise<(tables: IptablesTables) => FirewallChange> {
    const randomFully = rules.randomFully &&
      await this.#iptables.isModern(signal);
    const networks = rules.formerNetwork === undefined
      ? [rules.network]
      : [rules.network, rules.formerNetwork];
    const plan = planRules(rules);
    return (tables) => planIptables(tables, { plan, randomFully, networks });
  }
}
