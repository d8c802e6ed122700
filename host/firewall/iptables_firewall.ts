/**
 * The firewall with iptables, legacy or on nf_tables, whichever the host uses.
 *
 * @module
 */

import type { Cidr } from "../../net/cidr.ts";
import type { FirewallRules } from "./firewall.ts";
import {
  listIptables,
  planIptables,
  planIptablesRemoval,
} from "./iptables_plan.ts";
import { IptablesRules, type IptablesTables } from "./iptables_tool.ts";
import { type Planner, replacedNetworks } from "./planned_rules.ts";
import { NO_RULES, planRules } from "./rule_plan.ts";

/** {@linkcode Firewall} with iptables-save and iptables-restore. */
export class IptablesFirewall extends IptablesRules {
  readonly purpose = "masquerade and forward";

  async list(signal: AbortSignal): Promise<string[]> {
    return listIptables(await this.read(signal));
  }

  protected async planFor(
    rules: FirewallRules,
    signal: AbortSignal,
  ): Promise<Planner<IptablesTables>> {
    const randomFully = rules.randomFully &&
      await this.iptables.isModern(signal);
    const plan = planRules(rules);
    const networks = replacedNetworks(rules);
    return (tables) => planIptables(tables, { plan, randomFully, networks });
  }

  protected planRemoval(network: Cidr | undefined): Planner<IptablesTables> {
    if (network === undefined) return planIptablesRemoval;
    return (tables) =>
      planIptables(tables, {
        plan: NO_RULES,
        randomFully: false,
        networks: [network],
      });
  }
}
