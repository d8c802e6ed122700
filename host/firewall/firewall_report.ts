/**
 * What is in the firewall beside what should be.
 *
 * @module
 */

import type { FirewallRules, FirewallTool, RuleSet } from "./firewall.ts";
import type { FirewallSelection } from "./select_firewall.ts";

/**
 * `in-place`: all of it, in its order. `incomplete`: rules are missing, changed,
 * too many or out of order. `left-over`: rules are there that nobody wants there.
 * `absent`: none are there, and none are wanted. `unknown`: what is wanted is not
 * known.
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
  /** Whether the agent sets its rules by this tool, or would. */
  readonly isChosen: boolean;
  readonly state: RuleSetState;
  /** What is in our chains, of other networks too, in the tool's words. */
  readonly rules: readonly string[];
  /** What the agent would change. */
  readonly toDo: readonly string[];
}

/**
 * Looks at every set of rules that an agent may have set.
 *
 * @param wanted what should be in place; `undefined` when nobody knows.
 * @throws {FirewallError}
 */
export async function reportFirewall(
  { firewall, others, forDocker }: FirewallSelection,
  wanted: FirewallRules | undefined,
  signal: AbortSignal,
): Promise<RuleSetReport[]> {
  const kept = [firewall, ...forDocker];
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
