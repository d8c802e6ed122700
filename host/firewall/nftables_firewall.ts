/**
 * The firewall with nft.
 *
 * @module
 */

import type { Cidr } from "../../net/cidr.ts";
import type { FirewallRules } from "./firewall.ts";
import {
  NFT_TABLE,
  planNftables,
  planNftablesRemoval,
} from "./nftables_plan.ts";
import { NftablesRules } from "./nftables_table.ts";
import type { NftChains } from "./nftables_text.ts";
import type { Planner } from "./planned_rules.ts";
import { NO_RULES, planRules } from "./rule_plan.ts";
import { runBounded } from "./run_tool.ts";

/**
 * Input of `nft --check`, which changes nothing and shows whether the kernel
 * supports the keyword.
 */
const RANDOM_FULLY_PROBE = `add table ${NFT_TABLE}-probe
add chain ${NFT_TABLE}-probe c { type nat hook postrouting priority 100; }
add rule ${NFT_TABLE}-probe c masquerade fully-random
`;

/** {@linkcode Firewall} with `nft list table` and `nft -f`. */
export class NftablesFirewall extends NftablesRules<NftChains> {
  readonly purpose = "masquerade and forward";
  protected readonly table = NFT_TABLE;
  #knowsRandomFully = false;

  protected read(signal: AbortSignal): Promise<NftChains> {
    return this.readChains(signal);
  }

  protected async planFor(
    rules: FirewallRules,
    signal: AbortSignal,
  ): Promise<Planner<NftChains>> {
    const { network, formerNetwork } = rules;
    const randomFully = rules.masquerade && rules.randomFully &&
      await this.#canRandomFully(signal);
    const plan = planRules(rules);
    return (table) =>
      planNftables(table, { plan, randomFully, network, formerNetwork });
  }

  protected planRemoval(network: Cidr | undefined): Planner<NftChains> {
    if (network === undefined) return planNftablesRemoval;
    return (table) =>
      planNftables(table, { plan: NO_RULES, randomFully: false, network });
  }

  async #canRandomFully(signal: AbortSignal): Promise<boolean> {
    // Only success is cached: a failure may be temporary.
    if (!this.#knowsRandomFully) {
      const words = ["--check", "-f", "-"];
      const probe = RANDOM_FULLY_PROBE;
      const { code } = await runBounded(
        this.runner,
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
