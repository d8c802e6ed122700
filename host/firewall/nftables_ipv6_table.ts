/**
 * The table that flannel creates for IPv6 and leaves empty in a network without
 * IPv6.
 *
 * @module
 */

import { NftablesRules } from "./nftables_table.ts";
import type { NftChains } from "./nftables_text.ts";
import { NO_CHANGE, type Planner } from "./planned_rules.ts";

const TABLE = "ip6 flannel-ipv6";

/** Only ever removed, and only without rules. */
export class NftablesIpv6Table extends NftablesRules<NftChains> {
  readonly purpose = "flannel's empty table";
  protected readonly table = TABLE;

  protected read(signal: AbortSignal): Promise<NftChains> {
    return this.readChains(signal);
  }

  protected planFor(): Promise<Planner<NftChains>> {
    return Promise.resolve(() => NO_CHANGE);
  }

  protected planRemoval(): Planner<NftChains> {
    return (table) => {
      const isEmpty = table !== undefined &&
        [...table.values()].every((rules) => rules.length === 0);
      return !isEmpty ? NO_CHANGE : {
        lines: [`remove table ${TABLE}, 0 rules`],
        script: `delete table ${TABLE}\n`,
      };
    };
  }
}
