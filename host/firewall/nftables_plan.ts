/**
 * Plans the change from the present to the wanted rules, for nftables.
 *
 * @module
 */

import { type Cidr, formatCidr } from "../../net/cidr.ts";
import { fnv1a } from "../../net/fnv1a.ts";
import {
  formatNftRule,
  type ListedRule,
  type NftChains,
} from "./nftables_text.ts";
import { type FirewallChange, NO_CHANGE } from "./planned_rules.ts";
import type { RulePlan } from "./rule_plan.ts";

/** flannel's table for IPv4 (compat 9.3), as nft names it. */
export const NFT_TABLE = "ip flannel-ipv4";

/** One of flannel's chains; priorities are srcnat and filter as numbers. */
interface OwnChain {
  readonly chain: string;
  readonly definition: string;
  readonly comment: string;
  readonly part: keyof RulePlan;
}

const OWN_CHAINS: readonly OwnChain[] = [
  {
    chain: "postrtg",
    definition: "type nat hook postrouting priority 100; policy accept;",
    comment: "flanneld masq",
    part: "masquerade",
  },
  {
    chain: "forward",
    definition: "type filter hook forward priority 0; policy accept;",
    comment: "flanneld forward",
    part: "forward",
  },
];

/** The target of {@linkcode planNftables}. */
export interface NftablesTarget {
  readonly plan: RulePlan;
  readonly randomFully: boolean;
  readonly network: Cidr;
  readonly formerNetwork?: Cidr | undefined;
}

/**
 * The change that carries out a plan, as one transaction.
 *
 * A rule's comment names its network and holds a fingerprint of the rule, so
 * that nothing depends on how this version of nft prints rules. Rules of other
 * networks stay; rules without such a comment were left by flannel and are
 * removed.
 */
export function planNftables(
  table: NftChains,
  target: NftablesTarget,
): FirewallChange {
  const changes = OWN_CHAINS.map((own) =>
    planChain(table?.get(own.chain), own, target)
  );
  const commands = changes.flatMap((change) => change.commands);
  if (commands.length === 0 && table === undefined) return NO_CHANGE;
  const isLast = changes.every(({ isGone }) => isGone) &&
    onlyOwnChains(table ?? new Map());
  if (isLast) return planNftablesRemoval(table);
  if (commands.length === 0) return NO_CHANGE;
  return {
    lines: changes.flatMap((change) => change.lines),
    script: [`add table ${NFT_TABLE}`, ...commands].join("\n") + "\n",
  };
}

/** The change that removes both chains, and the table if it is then empty. */
export function planNftablesRemoval(table: NftChains): FirewallChange {
  if (table === undefined) return NO_CHANGE;
  if (onlyOwnChains(table)) {
    const rules = [...table.values()].flat().length;
    return {
      lines: [`remove table ${NFT_TABLE}, ${rules} rules`],
      script: `delete table ${NFT_TABLE}\n`,
    };
  }
  const changes = OWN_CHAINS.map((own) =>
    removeChain(table.get(own.chain), own)
  );
  return {
    lines: changes.flatMap((change) => change.lines),
    script: changes.flatMap((change) => change.commands)
      .map((command) => `${command}\n`).join(""),
  };
}

/** The change of one chain. */
interface ChainChange {
  readonly lines: readonly string[];
  readonly commands: readonly string[];
  /** Whether the chain no longer exists afterwards. */
  readonly isGone: boolean;
}

function planChain(
  present: readonly ListedRule[] | undefined,
  own: OwnChain,
  target: NftablesTarget,
): ChainChange {
  const wanted = target.plan[own.part].map((rule, index) => {
    const text = formatNftRule(rule, target.randomFully);
    const comment = `${label(own, target.network)} ${index + 1} ${fnv1a(text)}`;
    return { text, comment };
  });
  const rules = present ?? [];
  const ours = rules.filter(({ comment }) =>
    isOf(comment, own, target.network)
  );
  const stale = rules.filter(({ comment }) =>
    !comment.startsWith(`${own.comment} `) ||
    (target.formerNetwork && isOf(comment, own, target.formerNetwork))
  );
  const others = rules.length - ours.length - stale.length;
  if (wanted.length === 0 && others === 0) return removeChain(present, own);

  const isInOrder = ours.length === wanted.length &&
    ours.every((rule, index) => rule.comment === wanted[index]!.comment);
  const toDelete = isInOrder ? stale : [...stale, ...ours];
  const lines: string[] = [];
  const commands: string[] = [];
  if (present === undefined) {
    commands.push(
      `add chain ${NFT_TABLE} ${own.chain} { ${own.definition} }`,
    );
  }
  for (const { handle } of toDelete) {
    commands.push(`delete rule ${NFT_TABLE} ${own.chain} handle ${handle}`);
  }
  if (!isInOrder) {
    for (const { text, comment } of wanted) {
      commands.push(
        `add rule ${NFT_TABLE} ${own.chain} ${text} comment "${comment}"`,
      );
    }
  }
  if (commands.length > 0) {
    lines.push(
      `write chain ${own.chain} of table ${NFT_TABLE}, ` +
        `${wanted.length + others} rules (${others} not of this network)`,
    );
  }
  return { lines, commands, isGone: false };
}

function removeChain(
  present: readonly ListedRule[] | undefined,
  own: OwnChain,
): ChainChange {
  if (present === undefined) return { lines: [], commands: [], isGone: true };
  return {
    lines: [
      `remove chain ${own.chain} of table ${NFT_TABLE}, ` +
      `${present.length} rules`,
    ],
    commands: [
      `flush chain ${NFT_TABLE} ${own.chain}`,
      `delete chain ${NFT_TABLE} ${own.chain}`,
    ],
    isGone: true,
  };
}

function label(own: OwnChain, network: Cidr): string {
  return `${own.comment} ${formatCidr(network)}`;
}

function isOf(comment: string, own: OwnChain, network: Cidr): boolean {
  return comment.startsWith(`${label(own, network)} `);
}

function onlyOwnChains(table: ReadonlyMap<string, unknown>): boolean {
  return [...table.keys()].every((name) =>
    OWN_CHAINS.some(({ chain }) => chain === name)
  );
}
