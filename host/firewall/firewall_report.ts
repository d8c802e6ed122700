/**
 * Compares the firewall's rules with those that are wanted.
 *
 * @module
 */

import type { FirewallRules, FirewallTool, RuleSet } from "./firewall.ts";
import type { FirewallSelection } from "./select_firewall.ts";

/**
 * `in-place`: all rules are present and in order. `incomplete`: rules are
 * missing, changed, superfluous or out of order. `left-over`: rules are present
 * that are not wanted. `absent`: there are none, and none are wanted.
 * `unknown`: the wanted rules are not known.
 */
export type RuleSetState =
  | "in-place"
  | "incomplete"
  | "left-over"
  | "absent"
  | "unknown";

/** One set of rules. */
export interface RuleSetReport {
  readonly tool: FirewallTool;
  readonly purpose: string;
  /** Whether the agent uses, or would use, this tool. */
  readonly isChosen: boolean;
  readonly state: RuleSetState;
  /**
   * The rules in our chains, including those of other networks, in the tool's
   * notation.
   */
  readonly rules: readonly string[];
  /** What the agent would change. */
  readonly toDo: readonly string[];
}

/**
 * Reads every set of rules that an agent may have set.
 *
 * @param wanted the wanted rules; `undefined` if they are not known.
 * @throws {FirewallError}
 */
export async function reportFirewall(
  { firewall, antiSpoofing, others, forDocker }: FirewallSelection,
  wanted: FirewallRules | undefined,
  signal: AbortSignal,
): Promise<RuleSetReport[]> {
  const kept = [firewall, antiSpoofing, ...forDocker];
  const reports: RuleSetReport[] = [];
  for (const set of [...kept, ...others]) {
    const isChosen = kept.includes(set);
    reports.push(await reportSet(set, { isChosen, wanted }, signal));
  }
  return reports;
}

async function reportSet(
  set: RuleSet,
  { isChosen, wanted }: {
    readonly isChosen: boolean;
    readonly wanted: FirewallRules | undefined;
  },
  signal: AbortSignal,
): Promise<RuleSetReport> {
  const rules = await set.list(signal);
  const toDo = wanted === undefined
    ? []
    : isChosen
    ? await set.check(wanted, signal)
    : await set.remove({ network: wanted.network, dryRun: true }, signal);
  const { tool, purpose } = set;
  const state = wanted === undefined
    ? "unknown"
    : toDo.length > 0
    ? isChosen ? "incomplete" : "left-over"
    : isChosen && rules.length > 0
    ? "in-place"
    : "absent";
  return { tool, purpose, isChosen, state, rules, toDo };
}
