/**
 * The bypass of the drops of a Docker that uses iptables.
 *
 * @module
 */

import type { CommandRunner } from "../../linux/command.ts";
import {
  DOCKER_PASS_CHAIN,
  DOCKER_PASS_TABLES,
  planDockerPass,
  planDockerPassRemoval,
} from "./docker_pass_plan.ts";
import type { FirewallRemoval, FirewallRules, RuleSet } from "./firewall.ts";
import { listChain } from "./iptables_plan.ts";
import { type IptablesTables, IptablesTool } from "./iptables_tool.ts";

/**
 * {@linkcode RuleSet} in the tables of Docker's rules, whichever tool sets
 * ours, because an accept in another table would not overrule their drops.
 */
export class IptablesDockerPass implements RuleSet {
  readonly tool = "iptables";
  readonly purpose = "past Docker's drops";
  readonly #iptables: IptablesTool;

  /** @param options.command the iptables that Docker uses. */
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
    const tables = await this.#iptables.read(signal);
    return DOCKER_PASS_TABLES.flatMap((table) =>
      listChain(tables, table, DOCKER_PASS_CHAIN)
    );
  }

  async check(rules: FirewallRules, signal: AbortSignal): Promise<string[]> {
    const tables = await this.#iptables.read(signal);
    return [...planDockerPass(tables, rules).lines];
  }

  async ensure(rules: FirewallRules, signal: AbortSignal): Promise<string[]> {
    return await this.#iptables.reach(
      (tables) => planDockerPass(tables, rules),
      signal,
    );
  }

  async remove(
    { network, dryRun }: FirewallRemoval,
    signal: AbortSignal,
  ): Promise<string[]> {
    const plan = (tables: IptablesTables) =>
      planDockerPassRemoval(tables, network);
    if (dryRun) return [...plan(await this.#iptables.read(signal)).lines];
    return await this.#iptables.reach(plan, signal);
  }
}
