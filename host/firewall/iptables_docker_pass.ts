/**
 * The bypass of the drops of a Docker that uses iptables.
 *
 * @module
 */

import type { Cidr } from "../../net/cidr.ts";
import {
  DOCKER_PASS_CHAIN,
  DOCKER_PASS_TABLES,
  planDockerPass,
  planDockerPassRemoval,
} from "./docker_pass_plan.ts";
import type { FirewallRules } from "./firewall.ts";
import { listChain } from "./iptables_plan.ts";
import { IptablesRules, type IptablesTables } from "./iptables_tool.ts";
import type { Planner } from "./planned_rules.ts";

/**
 * {@linkcode RuleSet} in the tables of Docker's rules, whichever tool sets
 * ours, because an accept in another table would not overrule their drops.
 */
export class IptablesDockerPass extends IptablesRules {
  readonly purpose = "past Docker's drops";

  async list(signal: AbortSignal): Promise<string[]> {
    const tables = await this.read(signal);
    return DOCKER_PASS_TABLES.flatMap((table) =>
      listChain(tables, table, DOCKER_PASS_CHAIN)
    );
  }

  protected planFor(rules: FirewallRules): Planner<IptablesTables> {
    return (tables) => planDockerPass(tables, rules);
  }

  protected planRemoval(network: Cidr | undefined): Planner<IptablesTables> {
    return (tables) => planDockerPassRemoval(tables, network);
  }
}
