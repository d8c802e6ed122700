/**
 * Moves from the present to the wanted state, in the same way for every tool.
 *
 * @module
 */

import { FirewallNotKeptError, FirewallRefusedError } from "./errors.ts";

/** A change of the firewall, to be printed or done. */
export interface FirewallChange {
  /** One line per change, for people; empty if there is none. */
  readonly lines: readonly string[];
  /** The tool's input; empty if there is nothing to change. */
  readonly script: string;
}

/** How a tool reads, plans and applies. */
export interface FirewallSteps<State> {
  read(): Promise<State>;
  plan(state: State): FirewallChange;
  apply(script: string): Promise<void>;
}

/**
 * Applies the planned change and verifies that nothing is left to do. After a
 * failure it reads the rules and tries once more, because other programs change
 * the firewall as well.
 *
 * @returns one line per change.
 */
export async function reach<State>(
  tool: string,
  steps: FirewallSteps<State>,
): Promise<string[]> {
  let change = steps.plan(await steps.read());
  if (change.lines.length === 0) return [];
  try {
    await steps.apply(change.script);
  } catch (error) {
    if (!(error instanceof FirewallRefusedError)) throw error;
    change = steps.plan(await steps.read());
    if (change.lines.length > 0) await steps.apply(change.script);
  }
  const { lines: left } = steps.plan(await steps.read());
  if (left.length > 0) throw new FirewallNotKeptError(tool, left);
  return [...change.lines];
}
