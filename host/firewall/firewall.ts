/**
 * The host's firewall, as far as the overlay needs it.
 *
 * Implementations: `iptables_firewall.ts`, `nftables_firewall.ts` and the fake in
 * `tests/fakes/`; all pass `tests/contract/firewall_contract.ts`.
 *
 * @module
 */

import type { Cidr } from "../../net/cidr.ts";

/** What shall be in place for one network (compat 9). */
export interface FirewallRules {
  /** The whole overlay. */
  readonly network: Cidr;
  /** This host's part of it. */
  readonly subnet: Cidr;
  /** `--ip-masq`: hide the overlay's addresses from the rest of the world. */
  readonly masquerade: boolean;
  /** `--iptables-forward-rules`: accept what the host forwards for the overlay. */
  readonly forward: boolean;
  /**
   * Whether source ports are chosen at random where the host's tool can
   * (not `--ip-masq-fully-random-disable`).
   */
  readonly randomFully: boolean;
  /** A network that this agent served before: its rules go away. */
  readonly formerNetwork?: Cidr | undefined;
  /**
   * The overlay's device: what comes in by it is let past Docker's own drops.
   * Without it nothing is.
   */
  readonly overlayDevice?: string | undefined;
}

/** Which program speaks to the kernel. */
export type FirewallTool = "iptables" | "nftables";

/** What {@linkcode Firewall.remove} takes away. */
export interface FirewallRemoval {
  /** Only this network's rules; all of flannel's and Loden's when left out. */
  readonly network?: Cidr;
  /** Changes nothing, only says what would change. */
  readonly dryRun?: boolean;
}

/**
 * Rules in the kernel that are looked at, set and removed together. Only chains
 * of flannel's and Loden's names, and the jumps to them, are ever touched; in
 * them, rules of another agent's network stay.
 *
 * All methods reject with {@linkcode FirewallError} when the host's tool refuses,
 * which waiting may cure, and with the signal's reason when it is aborted.
 */
export interface RuleSet {
  readonly tool: FirewallTool;
  /** What these rules are for, in two or three words. */
  readonly purpose: string;
  /**
   * Whether the kernel reports changes of these rules
   * (`linux/netlink/nftables_monitor.ts`): nf_tables does, iptables-legacy does
   * not.
   */
  reportsChanges(signal: AbortSignal): Promise<boolean>;
  /** What is in our chains now, one line a rule, in the tool's words. */
  list(signal: AbortSignal): Promise<string[]>;
  /** What `ensure` would change now, one line each; empty when all is in place. */
  check(rules: FirewallRules, signal: AbortSignal): Promise<string[]>;
  /**
   * Puts the rules in place, in order, in one transaction per table, and looks
   * that they are there.
   *
   * @returns what was changed; empty when nothing had to be.
   */
  ensure(rules: FirewallRules, signal: AbortSignal): Promise<string[]>;
  /** @returns what was removed, or would be; empty when nothing was there. */
  remove(removal: FirewallRemoval, signal: AbortSignal): Promise<string[]>;
}

/**
 * The host's firewall: flannel's rules (compat 9).
 *
 * Whoever publishes `FLANNEL_IPMASQ=true` must have awaited `ensure` with
 * `masquerade` first: that line makes Docker remove its own masquerade.
 */
export type Firewall = RuleSet;
