/**
 * A firewall in memory.
 *
 * @module
 */

import type {
  Firewall,
  FirewallRemoval,
  FirewallRules,
  FirewallTool,
} from "../../host/firewall/firewall.ts";
import { formatCidr } from "../../net/cidr.ts";

/** Keeps, for each network, the rules that it was last told. */
export class FakeFirewall implements Firewall {
  readonly tool: FirewallTool;
  readonly purpose = "a test";
  /** By network; a test may remove what the firewall then has to set again. */
  readonly sets = new Map<string, string>();
  /** As of a tool on nf_tables; iptables-legacy's are not reported. */
  changesAreReported = true;
  /** When set, `check`, `ensure` and `remove` reject with it. */
  failure: Error | undefined;
  /** What `ensure` was last told. */
  lastRules: FirewallRules | undefined;
  /** How often `ensure` was called. */
  ensureCalls = 0;

  constructor(tool: FirewallTool = "iptables") {
    this.tool = tool;
  }

  reportsChanges(signal: AbortSignal): Promise<boolean> {
    return this.#answer(signal, () => this.changesAreReported);
  }

  list(signal: AbortSignal): Promise<string[]> {
    return this.#answer(signal, () => [...this.sets.values()]);
  }

  check(rules: FirewallRules, signal: AbortSignal): Promise<string[]> {
    return this.#answer(signal, () => this.#changes(rules));
  }

  ensure(rules: FirewallRules, signal: AbortSignal): Promise<string[]> {
    this.ensureCalls++;
    this.lastRules = rules;
    return this.#answer(signal, () => {
      const changes = this.#changes(rules);
      const text = describe(rules);
      if (rules.formerNetwork) this.sets.delete(key(rules.formerNetwork));
      if (text === undefined) this.sets.delete(key(rules.network));
      else this.sets.set(key(rules.network), text);
      return changes;
    });
  }

  remove(
    { network, dryRun }: FirewallRemoval,
    signal: AbortSignal,
  ): Promise<string[]> {
    return this.#answer(signal, () => {
      const names = [...this.sets.keys()]
        .filter((name) => network === undefined || name === key(network));
      if (!dryRun) names.forEach((name) => this.sets.delete(name));
      return names.map((name) => `remove rules of ${name}`);
    });
  }

  #changes(rules: FirewallRules): string[] {
    const changes: string[] = [];
    const { network, formerNetwork } = rules;
    if (formerNetwork && this.sets.has(key(formerNetwork))) {
      changes.push(`remove rules of ${key(formerNetwork)}`);
    }
    if (this.sets.get(key(network)) !== describe(rules)) {
      changes.push(`write rules of ${key(network)}`);
    }
    return changes;
  }

  #answer<T>(signal: AbortSignal, action: () => T): Promise<T> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.failure) return Promise.reject(this.failure);
    return Promise.resolve(action());
  }
}

const key = formatCidr;

/** `undefined` when no rules are wanted. */
function describe(rules: FirewallRules): string | undefined {
  const { subnet, masquerade, forward, randomFully } = rules;
  if (!masquerade && !forward) return undefined;
  const source = masquerade && { subnet: formatCidr(subnet), randomFully };
  return JSON.stringify({ source, forward });
}
