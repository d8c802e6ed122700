/**
 * Sets the mark on overlay packets for a Docker that uses nftables.
 *
 * @module
 */

import type { CommandRunner } from "../../linux/command.ts";
import {
  DOCKER_MARK_TABLE,
  DOCKER_TABLE,
  planDockerMark,
  planDockerMarkRemoval,
} from "./docker_mark_plan.ts";
import type { FirewallRemoval, FirewallRules, RuleSet } from "./firewall.ts";
import { listNftTable, readNftTable } from "./nftables_table.ts";
import { type ListedRule, parseNftTable } from "./nftables_text.ts";
import { reach } from "./reach.ts";
import { runTool } from "./run_tool.ts";

/** The present state: our table, and whether Docker has one. */
interface State {
  readonly table: ReadonlyMap<string, readonly ListedRule[]> | undefined;
  readonly dockerUsesNftables: boolean;
}

/** {@linkcode RuleSet} in a table of our own. */
export class NftablesDockerMark implements RuleSet {
  readonly tool = "nftables";
  readonly purpose = "mark for Docker";
  readonly #runner: CommandRunner;

  constructor(components: { runner: CommandRunner }) {
    this.#runner = components.runner;
  }

  reportsChanges(): Promise<boolean> {
    return Promise.resolve(true);
  }

  async list(signal: AbortSignal): Promise<string[]> {
    return await listNftTable(this.#runner, DOCKER_MARK_TABLE, signal);
  }

  async check(rules: FirewallRules, signal: AbortSignal): Promise<string[]> {
    const { table, dockerUsesNftables } = await this.#read(signal);
    return [...planDockerMark(table, dockerUsesNftables, rules).lines];
  }

  async ensure(rules: FirewallRules, signal: AbortSignal): Promise<string[]> {
    return await reach("nft", {
      read: () => this.#read(signal),
      plan: ({ table, dockerUsesNftables }: State) =>
        planDockerMark(table, dockerUsesNftables, rules),
      apply: (script) => this.#apply(script, signal),
    });
  }

  async remove(
    { network, dryRun }: FirewallRemoval,
    signal: AbortSignal,
  ): Promise<string[]> {
    const plan = ({ table }: State) => planDockerMarkRemoval(table, network);
    if (dryRun) return [...plan(await this.#read(signal)).lines];
    return await reach("nft", {
      read: () => this.#read(signal),
      plan,
      apply: (script) => this.#apply(script, signal),
    });
  }

  async #read(signal: AbortSignal): Promise<State> {
    const text = await readNftTable(this.#runner, DOCKER_MARK_TABLE, signal);
    const docker = await readNftTable(this.#runner, DOCKER_TABLE, signal);
    return {
      table: text === undefined ? undefined : parseNftTable(text),
      dockerUsesNftables: docker !== undefined,
    };
  }

  async #apply(script: string, signal: AbortSignal): Promise<void> {
    await runTool(this.#runner, "nft", ["-f", "-"], signal, script);
  }
}
