/**
 * The firewall with nft.
 *
 * @module
 */

import type { CommandRunner } from "../../linux/command.ts";
import type { Firewall, FirewallRemoval, FirewallRules } from "./firewall.ts";
import {
  NFT_TABLE,
  type NftTable,
  planNftables,
  planNftablesRemoval,
} from "./nftables_plan.ts";
import { listNftTable, readNftTable } from "./nftables_table.ts";
import { parseNftTable } from "./nftables_text.ts";
import { type FirewallChange, reach } from "./reach.ts";
import { NO_RULES, planRules } from "./rule_plan.ts";
import { runBounded, runTool } from "./run_tool.ts";

/**
 * Input of `nft --check`, which changes nothing and shows whether the kernel
 * supports the keyword.
 */
const RANDOM_FULLY_PROBE = `add table ${NFT_TABLE}-probe
add chain ${NFT_TABLE}-probe c { type nat hook postrouting priority 100; }
add rule ${NFT_TABLE}-probe c masquerade fully-random
`;

/** {@linkcode Firewall} with `nft list table` and `nft -f`. */
export class NftablesFirewall implements Firewall {
  readonly tool = "nftables";
  readonly purpose = "masquerade and forward";
  readonly #runner: CommandRunner;
  #knowsRandomFully = false;

  constructor(components: { runner: CommandRunner }) {
    this.#runner = components.runner;
  }

  reportsChanges(): Promise<boolean> {
    return Promise.resolve(true);
  }

  async list(signal: AbortSignal): Promise<string[]> {
    return await listNftTable(this.#runner, NFT_TABLE, signal);
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
      ? planNftablesRemoval
      : (table: NftTable) =>
        planNftables(table, { plan: NO_RULES, randomFully: false, network });
    if (dryRun) return [...plan(await this.#read(signal)).lines];
    return await this.#reach(plan, signal);
  }

  async #planFor(
    rules: FirewallRules,
    signal: AbortSignal,
  ): Promise<(table: NftTable) => FirewallChange> {
    const { network, formerNetwork } = rules;
    const randomFully = rules.masquerade && rules.randomFully &&
      await this.#canRandomFully(signal);
    const plan = planRules(rules);
    return (table) =>
      planNftables(table, { plan, randomFully, network, formerNetwork });
  }

  async #reach(
    plan: (table: NftTable) => FirewallChange,
    signal: AbortSignal,
  ): Promise<string[]> {
    return await reach("nft", {
      read: () => this.#read(signal),
      plan,
      apply: async (script) => {
        await runTool(this.#runner, "nft", ["-f", "-"], signal, script);
      },
    });
  }

  async #read(signal: AbortSignal): Promise<NftTable> {
    const text = await readNftTable(this.#runner, NFT_TABLE, signal);
    return text === undefined ? undefined : parseNftTable(text);
  }

  async #canRandomFully(signal: AbortSignal): Promise<boolean> {
    // Only success is cached: a failure may be temporary.
    if (!this.#knowsRandomFully) {
      const words = ["--check", "-f", "-"];
      const probe = RANDOM_FULLY_PROBE;
      const { code } = await runBounded(
        this.#runner,
        "nft",
        words,
        signal,
        probe,
      );
      this.#knowsRandomFully = code === 0;
    }
    return this.#knowsRandomFully;
  }
}
