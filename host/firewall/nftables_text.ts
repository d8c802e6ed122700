/**
 * What `nft list table` prints and `nft -f` reads.
 *
 * @module
 */

import { formatCidr } from "../../net/cidr.ts";
import type { AddressMatch, PlannedRule } from "./rule_plan.ts";

/** A rule as `nft -a list` prints it. */
export interface ListedRule {
  readonly handle: number;
  readonly text: string;
  /** Empty if it has none. */
  readonly comment: string;
}

/** The chains of a table, each with its rules; `undefined` without a table. */
export type NftChains = ReadonlyMap<string, readonly ListedRule[]> | undefined;

/** Parses the output of `nft -a list table`: each chain with its rules. */
export function parseNftTable(text: string): Map<string, ListedRule[]> {
  const chains = new Map<string, ListedRule[]>();
  let rules: ListedRule[] = [];
  for (const line of text.split("\n")) {
    const chain = /^\tchain (\S+) \{/.exec(line)?.[1];
    const rule = /^\t\t(.*) # handle (\d+)$/.exec(line);
    if (chain !== undefined) {
      rules = [];
      chains.set(chain, rules);
    } else if (rule !== null) {
      const [, text, handle] = rule;
      const comment = /\bcomment "([^"]*)"$/.exec(text!)?.[1] ?? "";
      rules.push({ handle: Number(handle), text: text!, comment });
    }
  }
  return chains;
}

/** A rule in nft's notation, without its comment. */
export function formatNftRule(rule: PlannedRule, randomFully: boolean): string {
  const words: string[] = [];
  if (rule.mark !== undefined) {
    const mark = `0x${rule.mark.toString(16)}`;
    words.push(`meta mark and ${mark} == ${mark}`);
  }
  if (rule.source) words.push(`ip saddr ${formatMatch(rule.source)}`);
  if (rule.destination) words.push(`ip daddr ${formatMatch(rule.destination)}`);
  words.push(rule.verdict);
  if (rule.verdict === "masquerade" && randomFully) words.push("fully-random");
  return words.join(" ");
}

function formatMatch(match: AddressMatch): string {
  return `${match.negated ? "!= " : ""}${formatCidr(match.cidr)}`;
}
