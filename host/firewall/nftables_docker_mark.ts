/**
 * Sets the mark on overlay packets for a Docker that uses nftables.
 *
 * @module
 */

import type { Cidr } from "../../net/cidr.ts";
import {
  DOCKER_MARK_TABLE,
  DOCKER_TABLE,
  planDockerMark,
  planDockerMarkRemoval,
} from "./docker_mark_plan.ts";
import type { FirewallRules } from "./firewall.ts";
import { NftablesRules, readNftTable } from "./nftables_table.ts";
import type { NftChains } from "./nftables_text.ts";
import type { Planner } from "./planned_rules.ts";

/** The present state: our table, and whether Docker has one. */
interface State {
  readonly table: NftChains;
  readonly dockerUsesNftables: boolean;
}

/** {@linkcode RuleSet} in a table of our own. */
export class NftablesDockerMark extends NftablesRules<State> {
  readonly purpose = "mark for Docker";
  protected readonly table = DOCKER_MARK_TABLE;

  protected async read(signal: AbortSignal): Promise<State> {
    const table = await this.readChains(signal);
    const docker = await readNftTable(this.runner, DOCKER_TABLE, signal);
    return { table, dockerUsesNftables: docker !== undefined };
  }

  protected planFor(rules: FirewallRules): Planner<State> {
    return ({ table, dockerUsesNftables }) =>
      planDockerMark(table, dockerUsesNftables, rules);
  }

  protected planRemoval(network: Cidr | undefined): Planner<State> {
    return ({ table }) => planDockerMarkRemoval(table, network);
  }
}
