/**
 * Rules that move from the present to the wanted state, in the same way for every
 * tool.
 *
 * @module
 */

import type { Cidr } from "../../net/cidr.ts";
import { FirewallNotKeptError, FirewallRefusedError } from "./errors.ts";
import type {
  FirewallRemoval,
  FirewallRules,
  FirewallTool,
  RuleSet,
} from "./firewall.ts";

/** A change of the firewall, to be printed or done. */
export interface FirewallChange {
  /** One line per change, for people; empty if there is none. */
  readonly lines: readonly string[];
  /** The tool's input; empty if there is nothing to change. */
  readonly script: string;
}

/** Nothing to do. */
export const NO_CHANGE: FirewallChange = { lines: [], script: "" };

/** The change that is needed in a state. */
export type Planner<State> = (state: State) => FirewallChange;

/** {@linkcode RuleSet} by a plan: how a tool reads, plans and applies. */
export abstract class PlannedRules<State> implements RuleSet {
  abstract readonly tool: FirewallTool;
  abstract readonly purpose: string;
  /** The program, for errors. */
  protected abstract readonly command: string;

  abstract reportsChanges(signal: AbortSignal): Promise<boolean>;
  abstract list(signal: AbortSignal): Promise<string[]>;
  protected abstract read(signal: AbortSignal): Promise<State>;
  protected abstract apply(script: string, signal: AbortSignal): Promise<void>;
  protected abstract planFor(
    rules: FirewallRules,
    signal: AbortSignal,
  ): Planner<State> | Promise<Planner<State>>;
  /** @param network the one whose rules go; all of them without one. */
  protected abstract planRemoval(network: Cidr | undefined): Planner<State>;

  async check(rules: FirewallRules, signal: AbortSignal): Promise<string[]> {
    const plan = await this.planFor(rules, signal);
    return [...plan(await this.read(signal)).lines];
  }

  async ensure(rules: FirewallRules, signal: AbortSignal): Promise<string[]> {
    return await this.#reach(await this.planFor(rules, signal), signal);
  }

  async remove(
    { network, dryRun }: FirewallRemoval,
    signal: AbortSignal,
  ): Promise<string[]> {
    const plan = this.planRemoval(network);
    if (dryRun) return [...plan(await this.read(signal)).lines];
    return await this.#reach(plan, signal);
  }

  /**
   * Applies the planned change and verifies that nothing is left to do. After a
   * failure it reads the rules and tries once more, because other programs change
   * the firewall as well.
   *
   * @returns one line per change.
   */
  async #reach(plan: Planner<State>, signal: AbortSignal): Promise<string[]> {
    let change = plan(await this.read(signal));
    if (change.lines.length === 0) return [];
    try {
      await this.apply(change.script, signal);
    } catch (error) {
      if (!(error instanceof FirewallRefusedError)) throw error;
      change = plan(await this.read(signal));
      if (change.lines.length > 0) await this.apply(change.script, signal);
    }
    const { lines: left } = plan(await this.read(signal));
    if (left.length > 0) throw new FirewallNotKeptError(this.command, left);
    return [...change.lines];
  }
}

/** The networks whose rules a plan replaces. */
export function replacedNetworks(
  { network, formerNetwork }: Pick<FirewallRules, "network" | "formerNetwork">,
): Cidr[] {
  return formerNetwork === undefined ? [network] : [network, formerNetwork];
}
