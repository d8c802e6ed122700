/**
 * Reads what `nft monitor trace` prints about one packet.
 *
 * Its lines, by chains in the order in which the packet meets them:
 *
 *     trace id 556be3e1 ip filter FORWARD packet: iif "docker0" oif …
 *     trace id 556be3e1 ip filter FORWARD rule ip daddr 10.1.7.2 drop (verdict drop)
 *     trace id 556be3e1 ip filter FORWARD policy drop
 *
 * @module
 */

import type { DecidingRule } from "../evaluate/chains.ts";
import { IPTABLES_TABLES } from "../evaluate/read_chains.ts";

/** What became of a packet that was sent, as far as nf_tables has seen it. */
export type PacketFate =
  /** It has passed all rules of this host. */
  | { readonly kind: "left" }
  | { readonly kind: "dropped"; readonly by: DecidingRule }
  /** Something else has taken it, after these chains; none: it never came. */
  | { readonly kind: "lost"; readonly chains: readonly string[] };

/** Chains of the table that marks packets, by what a packet shows that meets them. */
export const OWN_CHAINS = {
  /** That it is followed. */
  first: "first",
  local: "local",
  forward: "forward",
  /** That it has passed all others. */
  last: "last",
  /** That nft prints what is traced. */
  ready: "ready",
} as const;

const LINE =
  /^trace id (\w+) (\w+) (\S+) (\S+) (packet:|(?:unknown )?rule|verdict|policy) ?(.*)$/;
const DROP = /\(verdict drop\)\s*$/;

interface Line {
  readonly id: string;
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly kind: string;
  readonly rest: string;
}

/**
 * @param own the table whose only rules mark packets. Others that are traced meet its
 * chains, too, but not these rules. A packet can have two ids: where bridges call
 * iptables (br_netfilter), it gets another one when it leaves its bridge.
 */
export function parseTrace(text: string, own: string): PacketFate {
  const lines = linesOf(text);
  const ids = new Set(
    lines.filter((line) => isMark(line, own) && line.chain !== OWN_CHAINS.ready)
      .map(({ id }) => id),
  );
  const chains = new Set<string>();
  for (const { chain, family, id, kind, rest, table } of lines) {
    if (!ids.has(id)) continue;
    if (table === own) {
      if (chain === OWN_CHAINS.last) return { kind: "left" };
      continue;
    }
    chains.add(`${family} ${table} ${chain}`);
    if (kind === "policy" && rest === "drop") {
      const isIptables = family === "ip" && IPTABLES_TABLES.test(table);
      const name = isIptables ? `iptables ${table}` : `nft ${family} ${table}`;
      const by = { table: name, chain, rule: "policy DROP" };
      return { kind: "dropped", by };
    }
    if (DROP.test(rest)) {
      const rule = rest.replace(DROP, "").trim();
      const by = { table: `nft ${family} ${table}`, chain, rule };
      return { kind: "dropped", by };
    }
  }
  return { kind: "lost", chains: [...chains] };
}

/** Whether a packet has met the chain `ready`. */
export function isReady(text: string, own: string): boolean {
  return linesOf(text).some((line) =>
    isMark(line, own) && line.chain === OWN_CHAINS.ready
  );
}

function isMark({ kind, table }: Line, own: string): boolean {
  return table === own && kind.endsWith("rule");
}

function linesOf(text: string): Line[] {
  return text.split("\n").map((line) => LINE.exec(line))
    .filter((match) => match !== null)
    .map(([, id, family, table, chain, kind, rest]) => ({
      ...{ id: id!, family: family!, table: table!, chain: chain! },
      ...{ kind: kind!, rest: rest!.trim() },
    }));
}
