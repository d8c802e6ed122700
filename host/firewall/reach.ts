/**
 * From what is there to what shall be: the same way for every tool.
 *
 * @module
 */

import { FirewallNotKeptError, FirewallRefusedError } from "./errors.ts";

/** A change of the firewall, to be printed or done. */
export interface FirewallChange {
  /** One line for a person each; empty when nothing has to be changed. */
  readonly lines: readonly string[];
  /** What the tool reads to do it; empty when nothing has to be changed. */
  readonly script: string;
}

/** A tool's way to look, to plan and to do. */
export interface FirewallSteps<State> {
  read(): Promise<State>;
  plan(state: State): FirewallChange;
  apply(script: string): Promise<void>;
}

/**
 * Applies the planned change and looks that nothing is left to do. A refusal is
 * tried once more from a fresh look, since others change the firewall as well.
 *
 * @returns the lines of what was done.
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
