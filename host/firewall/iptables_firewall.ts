/**
 * The firewall through iptables, legacy or on nf_tables, whichever the host uses.
 *
 * @module
 */

import type { CommandRunner } from "../../linux/command.ts";
import { runTool } from "./run_tool.ts";
import type { Firewall, FirewallRemoval, FirewallRules } from "./firewall.ts";
import { planIptables, planIptablesRemoval } from "./iptables_plan.ts";
import { type IptablesTable, parseIptablesSave } from "./iptables_text.ts";
import { type FirewallChange, reach } from "./reach.ts";
import { NO_RULES, planRules } from "./rule_plan.ts";

/** Seconds to wait for another program that holds the xtables lock. */
const LOCK_SECONDS = 5;

type Tables = ReadonlyMap<string, IptablesTable>;

/** {@linkcode Firewall} by iptables-save and iptables-restore. */
export class IptablesFirewall implements Firewall {
  readonly tool = "iptables";
  readonly #runner: CommandRunner;
  readonly #command: string;
  #isModern: boolean | undefined;

  /** @param options.command another name of iptables, such as `iptables-legacy`. */
  constructor(
    components: { runner: CommandRunner },
    options: { command?: string } = {},
  ) {
    this.#runner = components.runner;
    this.#command = options.command ?? "iptables";
  }

  async check(rules: FirewallRules, signal: AbortSignal): Promise<string[]> {
    const plan = await this.#planFor(rules, signal);
    return [...plan(await this.#read(signal)).lines];
  }

  async ensure(rules: FirewallRules, signal: AbortSignal): Promise<string[]> {
    return await this.#reach(await this.#planFor(rules, signal), signal);
  }

  async remove(
    { network, dryRun }: FirewallRemoval,
    signal: AbortSignal,
  ): Promise<string[]> {
    const plan = network === undefined
      ? planIptablesRemoval
      : (tables: Tables) =>
        planIptables(tables, {
          plan: NO_RULES,
          randomFully: false,
          networks: [network],
        });
    if (dryRun) return [...plan(await this.#read(signal)).lines];
    return await this.#reach(plan, signal);
  }

  async #planFor(
    rules: FirewallRules,
    signal: AbortSignal,
  ): Promise<(tables: Tables) => FirewallChange> {
    const randomFully = rules.randomFully && await this.#isModernTool(signal);
    const networks = rules.formerNetwork === undefined
      ? [rules.network]
      : [rules.network, rules.formerNetwork];
    const plan = planRules(rules);
    return (tables) => planIptables(tables, { plan, randomFully, networks });
  }

  async #reach(
    plan: (tables: Tables) => FirewallChange,
    signal: AbortSignal,
  ): Promise<string[]> {
    const isModern = await this.#isModernTool(signal);
    return await reach(this.#command, {
      read: () => this.#read(signal),
      plan,
      apply: async (script) => {
        const words = ["--noflush"];
        if (isModern) words.push(`--wait=${LOCK_SECONDS}`);
        await this.#run(`${this.#command}-restore`, words, signal, script);
      },
    });
  }

  async #read(signal: AbortSignal): Promise<Tables> {
    // All loaded tables: asking for one by its name would load it.
    return parseIptablesSave(
      await this.#run(`${this.#command}-save`, [], signal),
    );
  }

  /** Whether this is 1.6.2 or later: --random-fully, and --wait when restoring. */
  async #isModernTool(signal: AbortSignal): Promise<boolean> {
    this.#isModern ??= isAtLeast162(
      await this.#run(this.#command, ["--version"], signal),
    );
    return this.#isModern;
  }

  #run(
    command: string,
    words: readonly string[],
    signal: AbortSignal,
    stdin?: string,
  ): Promise<string> {
    return runTool(this.#runner, command, words, signal, stdin);
  }
}

function isAtLeast162(version: string): boolean {
  const numbers = /v(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number);
  if (numbers === undefined) return false;
  const [major, minor, patch] = numbers as [number, number, number];
  return major * 10_000 + minor * 100 + patch >= 10_602;
}
