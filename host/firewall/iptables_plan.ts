/**
 * Plans the change from the present to the wanted rules, for iptables.
 *
 * @module
 */

import type { Cidr } from "../../net/cidr.ts";
import {
  formatIptablesRule,
  type IptablesTable,
  isRuleOfNetwork,
  jumpsTo,
} from "./iptables_text.ts";
import type { FirewallChange } from "./planned_rules.ts";
import { type PlannedRule, type RulePlan, SHARED_RULES } from "./rule_plan.ts";

/** One of flannel's chains and its parent (compat 9.1, 9.2). */
interface OwnChain {
  readonly table: string;
  readonly chain: string;
  readonly parent: string;
  readonly comment: string;
  readonly part: keyof RulePlan;
}

const OWN_CHAINS: readonly OwnChain[] = [
  {
    table: "nat",
    chain: "FLANNEL-POSTRTG",
    parent: "POSTROUTING",
    comment: "flanneld masq",
    part: "masquerade",
  },
  {
    table: "filter",
    chain: "FLANNEL-FWD",
    parent: "FORWARD",
    comment: "flanneld forward",
    part: "forward",
  },
];

/** The target of {@linkcode planIptables}. */
export interface IptablesTarget {
  readonly plan: RulePlan;
  readonly randomFully: boolean;
  /** Rules about these networks are replaced. */
  readonly networks: readonly Cidr[];
}

/**
 * The change that carries out a plan. A chain is rewritten in one transaction;
 * rules about other networks in it stay, because a second agent on this host
 * set them. The jump goes to the end of its parent chain, as flannel's does.
 */
export function planIptables(
  tables: ReadonlyMap<string, IptablesTable>,
  target: IptablesTarget,
): FirewallChange {
  return combine(
    OWN_CHAINS.map((own) =>
      planChain(tables.get(own.table) ?? new Map(), own, target)
    ),
  );
}

/** The change that removes both chains and every jump to them. */
export function planIptablesRemoval(
  tables: ReadonlyMap<string, IptablesTable>,
): FirewallChange {
  return combine(
    OWN_CHAINS.map((own) =>
      removeChain(tables.get(own.table) ?? new Map(), own)
    ),
  );
}

/** The chains' rules and the jumps to them, as iptables-save prints them. */
export function listIptables(
  tables: ReadonlyMap<string, IptablesTable>,
): string[] {
  return OWN_CHAINS.flatMap((own) => listChain(tables, own.table, own.chain));
}

/** One chain's rules and the jumps to it; `TABLE: -A CHAIN RULE`. */
export function listChain(
  tables: ReadonlyMap<string, IptablesTable>,
  table: string,
  chain: string,
): string[] {
  const chains = tables.get(table) ?? new Map<string, readonly string[]>();
  return [...chains].flatMap(([name, rules]) =>
    rules.filter((rule) => name === chain || jumpsTo(rule, chain))
      .map((rule) => `${table}: -A ${name} ${rule}`)
  );
}

/** The change of one table. */
export interface TableChange {
  readonly table: string;
  readonly lines: readonly string[];
  readonly commands: readonly string[];
}

/** The changes of several tables as one script. */
export function combine(changes: readonly TableChange[]): FirewallChange {
  const needed = changes.filter(({ commands }) => commands.length > 0);
  return {
    lines: needed.flatMap(({ table, lines }) =>
      lines.map((line) => `${table}: ${line}`)
    ),
    script: needed.map(({ table, commands }) =>
      `*${table}\n${commands.join("\n")}\nCOMMIT\n`
    ).join(""),
  };
}

function planChain(
  table: IptablesTable,
  own: OwnChain,
  { plan, randomFully, networks }: IptablesTarget,
): TableChange {
  const format = (rule: PlannedRule) =>
    formatIptablesRule(rule, own.comment, randomFully);
  const planned = plan[own.part].map(format);
  const sharedByAll = SHARED_RULES[own.part].map(format);
  const shared = planned.filter((rule) => sharedByAll.includes(rule));
  const wanted = planned.filter((rule) => !sharedByAll.includes(rule));
  const present = table.get(own.chain) ?? [];
  const isOurs = (rule: string) =>
    networks.some((network) => isRuleOfNetwork(rule, own.comment, network));
  const ours = present.filter(isOurs);
  const others = present.filter((rule) => !isOurs(rule));
  if (
    wanted.length === 0 && others.every((rule) => sharedByAll.includes(rule))
  ) {
    return removeChain(table, own);
  }

  const lines: string[] = [];
  const commands: string[] = [];
  const inOrder = equalLists(ours, wanted) &&
    equalLists(present.slice(0, shared.length), shared);
  if (!inOrder) {
    const rest = others.filter((rule) => !shared.includes(rule));
    const content = [...shared, ...rest, ...wanted];
    lines.push(
      `write chain ${own.chain}, ${content.length} rules ` +
        `(${rest.length} not of this network)`,
    );
    // Declaring a chain empties it in the same transaction that fills it again.
    commands.push(`:${own.chain} - [0:0]`);
    commands.push(...content.map((rule) => `-A ${own.chain} ${rule}`));
  }
  const jump = `-m comment --comment "${own.comment}" -j ${own.chain}`;
  const jumps = (table.get(own.parent) ?? [])
    .filter((rule) => rule === jump).length;
  if (jumps === 0) {
    lines.push(`append the jump from ${own.parent} to ${own.chain}`);
    commands.push(`-A ${own.parent} ${jump}`);
  }
  for (let extra = 1; extra < jumps; extra++) {
    lines.push(`remove a second jump from ${own.parent} to ${own.chain}`);
    commands.push(`-D ${own.parent} ${jump}`);
  }
  return { table: own.table, lines, commands };
}

/** Removes a chain with every jump to it, if it exists. */
export function removeChain(
  table: IptablesTable,
  own: { readonly table: string; readonly chain: string },
): TableChange {
  const lines: string[] = [];
  const commands: string[] = [];
  const present = table.get(own.chain);
  if (present === undefined) return { table: own.table, lines, commands };
  for (const [parent, rules] of table) {
    for (const rule of rules.filter((rule) => jumpsTo(rule, own.chain))) {
      lines.push(`remove the jump from ${parent} to ${own.chain}`);
      commands.push(`-D ${parent} ${rule}`);
    }
  }
  lines.push(`remove chain ${own.chain}, ${present.length} rules`);
  // Declaring the chain empties it; only an empty chain can be deleted.
  commands.unshift(`:${own.chain} - [0:0]`);
  commands.push(`-X ${own.chain}`);
  return { table: own.table, lines, commands };
}

function equalLists(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
