/**
 * What iptables-save prints and iptables-restore reads.
 *
 * @module
 */

import { type Cidr, formatCidr } from "../../net/cidr.ts";
import type { AddressMatch, PlannedRule } from "./rule_plan.ts";

/** The chains of a table, each with its rules without `-A CHAIN`. */
export type IptablesTable = ReadonlyMap<string, readonly string[]>;

/** Parses the output of iptables-save; a table that is not loaded is absent. */
export function parseIptablesSave(text: string): Map<string, IptablesTable> {
  const tables = new Map<string, Map<string, string[]>>();
  let table = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const chain = /^:(\S+) /.exec(line)?.[1];
    const rule = /^-A (\S+) (.*\S)\s*$/.exec(line);
    if (line.startsWith("*")) {
      table = new Map();
      tables.set(line.slice(1).trim(), table);
    } else if (chain !== undefined) {
      table.set(chain, []);
    } else if (rule) {
      table.get(rule[1]!)?.push(rule[2]!);
    }
  }
  return tables;
}

/**
 * A rule as iptables-save will print it, so that the two can be compared as
 * text.
 */
export function formatIptablesRule(
  rule: PlannedRule,
  comment: string,
  randomFully: boolean,
): string {
  const words: string[] = [];
  if (rule.source) words.push(formatMatch("-s", rule.source));
  if (rule.destination) words.push(formatMatch("-d", rule.destination));
  if (rule.mark !== undefined) {
    const mark = `0x${rule.mark.toString(16)}`;
    words.push(`-m mark --mark ${mark}/${mark}`);
  }
  words.push(`-m comment --comment "${comment}"`);
  words.push(`-j ${rule.verdict.toUpperCase()}`);
  if (rule.verdict === "masquerade" && randomFully) {
    words.push("--random-fully");
  }
  return words.join(" ");
}

function formatMatch(flag: string, match: AddressMatch): string {
  return `${match.negated ? "! " : ""}${flag} ${formatCidr(match.cidr)}`;
}

/** Whether a rule is about a network and has our comment. */
export function isRuleOfNetwork(
  rule: string,
  comment: string,
  network: Cidr,
): boolean {
  const words = rule.split(" ");
  const cidr = formatCidr(network);
  return rule.includes(`--comment "${comment}"`) &&
    words.some((word, index) =>
      (word === "-s" || word === "-d") && words[index + 1] === cidr
    );
}

/** Whether a rule jumps to a chain. */
export function jumpsTo(rule: string, chain: string): boolean {
  const words = rule.split(" ");
  return words.some((word, index) =>
    (word === "-j" || word === "-g") && words[index + 1] === chain
  );
}
