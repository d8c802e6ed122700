/**
 * The rules against spoofing through nft, in a table of Loden's own.
 *
 * @module
 */

import type { CommandRunner } from "../../linux/command.ts";
import { type Cidr, formatCidr } from "../../net/cidr.ts";
import { fnv1a } from "../../net/fnv1a.ts";
import type { OuterTraffic } from "../../net/underlay.ts";
import {
  planAntiSpoofing,
  SPOOFING_HOOKS,
  type SpoofingDrop,
  spoofingLabel,
} from "./anti_spoofing_plan.ts";
import type { FirewallRemoval, FirewallRules, RuleSet } from "./firewall.ts";
import { listNftTable, readNftTable } from "./nftables_table.ts";
import { type ListedRule, parseNftTable } from "./nftables_text.ts";
import { type FirewallChange, reach } from "./reach.ts";
import { runTool } from "./run_tool.ts";

/** Our table, as nft names it. */
export const ANTI_SPOOFING_TABLE = "ip loden-anti-spoofing";
/** That of iptables' table mangle: a drop is final, whatever others accept. */
const PRIORITY = -150;
/** IPPROTO_UDP. */
const UDP = 17;

/** The chains of the table; `undefined` when there is none. */
type Table = ReadonlyMap<string, readonly ListedRule[]> | undefined;

/** {@linkcode RuleSet} by `nft list table` and `nft -f`. */
export class NftablesAntiSpoofing implements RuleSet {
  readonly tool = "nftables";
  readonly purpose = "anti-spoofing";
  readonly #runner: CommandRunner;

  constructor(components: { runner: CommandRunner }) {
    this.#runner = components.runner;
  }

  reportsChanges(): Promise<boolean> {
    return Promise.resolve(true);
  }

  async list(signal: AbortSignal): Promise<string[]> {
    return await listNftTable(this.#runner, ANTI_SPOOFING_TABLE, signal);
  }

  async check(rules: FirewallRules, signal: AbortSignal): Promise<string[]> {
    return [...planNftablesAntiSpoofing(await this.#read(signal), rules).lines];
  }

  async ensure(rules: FirewallRules, signal: AbortSignal): Promise<string[]> {
    return await this.#reach(
      (table) => planNftablesAntiSpoofing(table, rules),
      signal,
    );
  }

  async remove(
    { network, dryRun }: FirewallRemoval,
    signal: AbortSignal,
  ): Promise<string[]> {
    const plan = (table: Table) => removal(table, network && [network]);
    if (dryRun) return [...plan(await this.#read(signal)).lines];
    return await this.#reach(plan, signal);
  }

  async #reach(
    plan: (table: Table) => FirewallChange,
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

  async #read(signal: AbortSignal): Promise<Table> {
    const text = await readNftTable(this.#runner, ANTI_SPOOFING_TABLE, signal);
    return text === undefined ? undefined : parseNftTable(text);
  }
}

/** The change that puts the rules of one network in place, or takes them away. */
export function planNftablesAntiSpoofing(
  table: Table,
  rules: FirewallRules,
): FirewallChange {
  const { network, formerNetwork } = rules;
  const networks = formerNetwork === undefined
    ? [network]
    : [network, formerNetwork];
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
  ).map(({ hook, ...drop }) => {
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

const NO_CHANGE: FirewallChange = { lines: [], script: "" };

interface FoundRule extends ListedRule {
  readonly chain: string;
}

/** In the order of the hooks. */
function rulesOf(table: Table, networks: readonly Cidr[]): FoundRule[] {
  return allRules(table).filter(({ comment }) =>
    networks.some((network) => comment.startsWith(`${spoofingLabel(network)} `))
  );
}

function allRules(table: Table): FoundRule[] {
  return SPOOFING_HOOKS.flatMap((chain) =>
    (table?.get(chain) ?? []).map((rule) => ({ ...rule, chain }))
  );
}

/** With the last network's rules the table goes. */
function removal(
  table: Table,
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

function dropText(drop: Omit<SpoofingDrop, "hook">): string {
  const words: string[] = [];
  if (drop.from) words.push(`iifname ${deviceSet(drop.from)}`);
  if (drop.notFrom) words.push(`iifname != ${deviceSet(drop.notFrom)}`);
  if (drop.to) words.push(`oifname ${deviceSet(drop.to)}`);
  if (drop.source) words.push(`ip saddr ${formatCidr(drop.source)}`);
  if (drop.notSource) words.push(`ip saddr != ${formatCidr(drop.notSource)}`);
  if (drop.destination) words.push(`ip daddr ${formatCidr(drop.destination)}`);
  if (drop.traffic) words.push(trafficMatch(drop.traffic));
  if (drop.isUnrouted) words.push("fib saddr . iif oif missing");
  return [...words, "drop"].join(" ");
}

function deviceSet(names: readonly string[]): string {
  return `{ ${names.map((name) => `"${name}"`).join(", ")} }`;
}

function trafficMatch({ protocol, port }: OuterTraffic): string {
  if (port === undefined) return `ip protocol ${protocol}`;
  return protocol === UDP
    ? `udp dport ${port}`
    : `meta l4proto ${protocol} th dport ${port}`;
}
