/**
 * The rules against spoofing through nft, in a table of Loden's own.
 *
 * @module
 */

import { type Cidr, formatCidr } from "../../net/cidr.ts";
import { fnv1a } from "../../net/fnv1a.ts";
import type { OuterTraffic } from "../../net/underlay.ts";
import {
  planAntiSpoofing,
  SPOOFING_HOOKS,
  type SpoofingDrop,
  spoofingLabel,
} from "./anti_spoofing_plan.ts";
import type { FirewallRules } from "./firewall.ts";
import { NftablesRules } from "./nftables_table.ts";
import type { ListedRule, NftChains } from "./nftables_text.ts";
import {
  type FirewallChange,
  NO_CHANGE,
  type Planner,
  replacedNetworks,
} from "./planned_rules.ts";

/** Our table, as nft names it. */
const ANTI_SPOOFING_TABLE = "ip loden-anti-spoofing";
/** That of iptables' table mangle: a drop is final, whatever others accept. */
const PRIORITY = -150;
/** IPPROTO_UDP. */
const UDP = 17;

/** {@linkcode RuleSet} by `nft list table` and `nft -f`. */
export class NftablesAntiSpoofing extends NftablesRules<NftChains> {
  readonly purpose = "anti-spoofing";
  protected readonly table = ANTI_SPOOFING_TABLE;

  protected read(signal: AbortSignal): Promise<NftChains> {
    return this.readChains(signal);
  }

  protected planFor(rules: FirewallRules): Planner<NftChains> {
    return (table) => planNftablesAntiSpoofing(table, rules);
  }

  protected planRemoval(network: Cidr | undefined): Planner<NftChains> {
    return (table) => removal(table, network && [network]);
  }
}

/** The change that puts the rules of one network in place, or takes them away. */
function planNftablesAntiSpoofing(
  table: NftChains,
  rules: FirewallRules,
): FirewallChange {
  const { network } = rules;
  const networks = replacedNetworks(rules);
  const ours = rulesOf(table, networks);
  if (rules.antiSpoofing === "kept") {
    return ours.length > 0 ? NO_CHANGE : {
      lines: [`write table ${ANTI_SPOOFING_TABLE}`],
      script: "",
    };
  }
  const drops = planAntiSpoofing(rules);
  if (drops.length === 0) return removal(table, networks);
  const wanted = SPOOFING_HOOKS.flatMap((hook) =>
    drops.filter((drop) => drop.hook === hook)
  ).map((drop) => {
    const { hook } = drop;
    const text = dropText(drop);
    const comment = `${spoofingLabel(network)} ${fnv1a(`${hook} ${text}`)}`;
    return { hook, text, comment };
  });
  const isInPlace = ours.length === wanted.length &&
    wanted.every((rule, at) =>
      rule.comment === ours[at]!.comment && rule.hook === ours[at]!.chain
    );
  if (isInPlace) return NO_CHANGE;
  return {
    lines: [
      `write table ${ANTI_SPOOFING_TABLE}, ${wanted.length} rules of ` +
      formatCidr(network),
    ],
    script: script([
      `add table ${ANTI_SPOOFING_TABLE}`,
      ...SPOOFING_HOOKS.map((hook) =>
        `add chain ${ANTI_SPOOFING_TABLE} ${hook} { type filter hook ${hook} ` +
        `priority ${PRIORITY}; policy accept; }`
      ),
      ...ours.map(deletion),
      ...wanted.map(({ hook, text, comment }) =>
        `add rule ${ANTI_SPOOFING_TABLE} ${hook} ${text} comment "${comment}"`
      ),
    ]),
  };
}

interface FoundRule extends ListedRule {
  readonly chain: string;
}

/** In the order of the hooks. */
function rulesOf(table: NftChains, networks: readonly Cidr[]): FoundRule[] {
  return allRules(table).filter(({ comment }) =>
    networks.some((network) => comment.startsWith(`${spoofingLabel(network)} `))
  );
}

function allRules(table: NftChains): FoundRule[] {
  return SPOOFING_HOOKS.flatMap((chain) =>
    (table?.get(chain) ?? []).map((rule) => ({ ...rule, chain }))
  );
}

/** With the last network's rules the table goes. */
function removal(
  table: NftChains,
  networks: readonly Cidr[] | undefined,
): FirewallChange {
  if (table === undefined) return NO_CHANGE;
  const all = allRules(table);
  const ours = networks === undefined ? all : rulesOf(table, networks);
  if (ours.length === all.length) {
    return {
      lines: [`remove table ${ANTI_SPOOFING_TABLE}, ${all.length} rules`],
      script: script([`delete table ${ANTI_SPOOFING_TABLE}`]),
    };
  }
  if (ours.length === 0) return NO_CHANGE;
  return {
    lines: [`remove ${ours.length} rules from table ${ANTI_SPOOFING_TABLE}`],
    script: script(ours.map(deletion)),
  };
}

function deletion({ chain, handle }: FoundRule): string {
  return `delete rule ${ANTI_SPOOFING_TABLE} ${chain} handle ${handle}`;
}

function script(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

/**
 * First what a packet of the overlay does not fulfil, so that the rest is not
 * compared; the kernel goes from left to right. Devices' names stand behind
 * addresses and ports: to compare one takes longer than all of these.
 */
function dropText(drop: SpoofingDrop): string {
  const words: string[] = [];
  if (drop.source) words.push(`ip saddr ${formatCidr(drop.source)}`);
  if (drop.notSource) words.push(`ip saddr != ${formatCidr(drop.notSource)}`);
  if (drop.destination) words.push(`ip daddr ${formatCidr(drop.destination)}`);
  if (drop.traffic) words.push(trafficMatch(drop.traffic));
  if (drop.to) words.push(`oifname ${devices(drop.to)}`);
  if (drop.from) words.push(`iifname ${devices(drop.from)}`);
  if (drop.notFrom) words.push(`iifname != ${devices(drop.notFrom)}`);
  if (drop.isUnrouted) words.push("fib saddr . iif oif missing");
  return [...words, "drop"].join(" ");
}

/** A set is looked up, a single name compared, which takes less. */
function devices(names: readonly string[]): string {
  const quoted = names.map((name) => `"${name}"`);
  return quoted.length === 1 ? quoted[0]! : `{ ${quoted.join(", ")} }`;
}

function trafficMatch({ protocol, port }: OuterTraffic): string {
  if (port === undefined) return `ip protocol ${protocol}`;
  return protocol === UDP
    ? `udp dport ${port}`
    : `meta l4proto ${protocol} th dport ${port}`;
}
