/**
 * Rules that stay in place although others rewrite the firewall.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../errors.ts";
import type { Clock } from "../../linux/clock.ts";
import { formatCidr } from "../../net/cidr.ts";
import { NoFirewallToolError } from "./errors.ts";
import type { Firewall, FirewallRules, FirewallTool } from "./firewall.ts";
import type { FirewallSelection } from "./select_firewall.ts";

const log = getLogger(["loden", "firewall"]);

/** What the keeper works with. */
export interface FirewallKeeperComponents {
  /** Chooses the tool; asked again until one works. */
  readonly select: (signal: AbortSignal) => Promise<FirewallSelection>;
  readonly clock: Clock;
}

/** What a person sets. */
export interface FirewallKeeperOptions {
  /** `--iptables-resync`: how often the rules are looked at; at least 1. */
  readonly resyncSeconds: number;
  /** Told after each look at the rules: what is wrong, or that nothing is. */
  readonly onResult?: (error: unknown | undefined) => void;
}

/** What `loden status` shows. */
export interface FirewallStatus {
  /** `undefined` until a tool has been found. */
  readonly tool: FirewallTool | undefined;
  /** Whether the rules were in place when they were last looked at. */
  readonly inPlace: boolean;
}

/**
 * Sets the rules at once by {@linkcode ensure}; once started, looks at them every
 * `resyncSeconds` and sets again what others removed (compat 9.1).
 */
export class FirewallKeeper {
  readonly #components: FirewallKeeperComponents;
  readonly #options: FirewallKeeperOptions;
  #selection: FirewallSelection | undefined;
  /** Other tools, through which an earlier run may have set its rules. */
  #toClear: readonly Firewall[] = [];
  #rules: FirewallRules | undefined;
  #inPlace = false;
  /** The last failure's message; one that lasts is logged once. */
  #reported: string | undefined;
  /** One change at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #stop = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(
    components: FirewallKeeperComponents,
    options: FirewallKeeperOptions,
  ) {
    this.#components = components;
    this.#options = options;
  }

  /**
   * Puts the rules in place; from now on they are the ones that are kept, also
   * when this fails.
   *
   * @throws {FirewallError} which waiting may cure.
   */
  async ensure(rules: FirewallRules, signal: AbortSignal): Promise<void> {
    this.#rules = rules;
    await this.#takeTurn(() => this.#ensureNow(rules, signal));
  }

  /** Begins to look at the rules regularly, until `stop` or the signal. */
  start(signal: AbortSignal): void {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    this.#loop ??= this.#run(either);
  }

  /** Ends that. The rules stay: what is forwarded must go on being so. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  status(): FirewallStatus {
    return { tool: this.#selection?.firewall.tool, inPlace: this.#inPlace };
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#components.clock.sleep(
          this.#options.resyncSeconds * 1000,
          signal,
        );
        const rules = this.#rules;
        if (rules === undefined) continue;
        await this.#takeTurn(() => this.#ensureNow(rules, signal));
      } catch (error) {
        // #ensureNow has reported it; the next round tries again.
        if (signal.aborted) return;
        log.debug("firewall rules are tried again", {
          event: "firewall.retry",
          seconds: this.#options.resyncSeconds,
          error,
        });
      }
    }
  }

  #takeTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(action, action);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #ensureNow(rules: FirewallRules, signal: AbortSignal): Promise<void> {
    try {
      await this.#set(rules, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      this.#inPlace = false;
      // The tool may have been removed, or another one installed.
      this.#selection = undefined;
      this.#report(error);
      this.#options.onResult?.(error);
      throw error;
    }
    this.#inPlace = true;
    if (this.#reported !== undefined) {
      log.info("firewall rules are in place again", {
        event: "firewall.recovered",
      });
    }
    this.#reported = undefined;
    this.#options.onResult?.(undefined);
  }

  async #set(rules: FirewallRules, signal: AbortSignal): Promise<void> {
    const firewall = await this.#firewallFor(rules, signal);
    if (firewall === undefined) return;
    const changes = await firewall.ensure(rules, signal);
    if (changes.length > 0) {
      log.info("firewall rules set", {
        event: "firewall.set",
        tool: firewall.tool,
        network: formatCidr(rules.network),
        changes,
      });
    }
    // Only now, so that the rules are never missing in between.
    for (const other of this.#toClear) await this.#clear(other, rules, signal);
    this.#toClear = [];
  }

  /** `undefined` when no rules are wanted and no tool is there to hold any. */
  async #firewallFor(
    rules: FirewallRules,
    signal: AbortSignal,
  ): Promise<Firewall | undefined> {
    if (this.#selection !== undefined) return this.#selection.firewall;
    try {
      this.#selection = await this.#components.select(signal);
    } catch (error) {
      const isUnneeded = !rules.masquerade && !rules.forward;
      if (isUnneeded && error instanceof NoFirewallToolError) return undefined;
      throw error;
    }
    const { firewall, reason, others } = this.#selection;
    this.#toClear = others;
    log.info("firewall tool chosen", {
      event: "firewall.chosen",
      tool: firewall.tool,
      reason,
    });
    return firewall;
  }

  /** What this agent set when it was told to use the other tool (compat 9.4). */
  async #clear(
    other: Firewall,
    rules: FirewallRules,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      const { network } = rules;
      const changes = await other.remove({ network }, signal);
      if (changes.length === 0) return;
      log.info("firewall rules of another tool removed", {
        event: "firewall.other-removed",
        tool: other.tool,
        changes,
      });
    } catch (error) {
      if (signal.aborted) throw error;
      // Two sets of the same rules do no harm.
      log.warn("firewall rules of another tool stay", {
        event: "firewall.other-stays",
        tool: other.tool,
        error,
      });
    }
  }

  #report(error: unknown): void {
    const reason = describeError(error);
    if (reason === this.#reported) return;
    this.#reported = reason;
    log.error("firewall rules are not in place", {
      event: "firewall.failed",
      error,
    });
  }
}
