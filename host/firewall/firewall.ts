/**
 * The host's firewall, as far as the overlay needs it.
 *
 * Implementations: `iptables_firewall.ts`, `nftables_firewall.ts` and the fake in
 * `tests/fakes/`; all pass `tests/contract/firewall_contract.ts`.
 *
 * @module
 */

import type { Cidr } from "../../net/cidr.ts";
import type { UnderlayUse } from "../../net/underlay.ts";

/** The rules that one network needs (compat 9). */
export interface FirewallRules {
  /** The overlay network. */
  readonly network: Cidr;
  /** This host's subnet. */
  readonly subnet: Cidr;
  /** `--ip-masq`: masquerade traffic that leaves the overlay. */
  readonly masquerade: boolean;
  /** `--iptables-forward-rules`: accept forwarded packets of the overlay. */
  readonly forward: boolean;
  /**
   * Whether to choose source ports at random if the tool supports it (not
   * `--ip-masq-fully-random-disable`).
   */
  readonly randomFully: boolean;
  /** A network that this agent served before; its rules are removed. */
  readonly formerNetwork?: Cidr | undefined;
  /**
   * The overlay device, whose packets bypass Docker's own drops. Without it no
   * packets do.
   */
  readonly overlayDevice?: string | undefined;
  /** Devices of former backends, during a change of backend: the same for them. */
  readonly formerDevices?: readonly string[];
  /**
   * Devices of the underlay on which packets of peers arrive as they were sent
   * (host-gw, `DirectRouting`). Those of peers that are routed by the device
   * bypass Docker's drops. `kept`: as the agent has set it, for callers that do
   * not know the devices.
   */
  readonly directDevices?: readonly string[] | "kept";
  /**
   * `--anti-spoofing`: which packets to drop as spoofed. `kept`: as the agent
   * has set it, for callers that do not know the devices. Without it there are
   * no such rules.
   */
  readonly antiSpoofing?: AntiSpoofing | "kept" | undefined;
}

/** All devices through which packets enter the overlay. */
export function overlayDevices(
  { overlayDevice, formerDevices = [] }: FirewallRules,
): readonly string[] {
  return overlayDevice === undefined
    ? formerDevices
    : [overlayDevice, ...formerDevices];
}

/** What {@linkcode FirewallRules.antiSpoofing} needs to know about the host. */
export interface AntiSpoofing {
  readonly underlay: UnderlayUse;
  /** Names of the bridges with addresses of this host's subnet. */
  readonly bridges: readonly string[];
}

/** The tool that changes the rules. */
export type FirewallTool = "iptables" | "nftables";

/** What {@linkcode Firewall.remove} removes. */
export interface FirewallRemoval {
  /** Only this network's rules; without it, all of flannel's and Loden's. */
  readonly network?: Cidr;
  /** Changes nothing and only returns what would change. */
  readonly dryRun?: boolean;
}

/**
 * Rules in the kernel that are read, set and removed together. Only chains with
 * flannel's and Loden's names, and the jumps to them, are ever touched; within
 * them, rules of another agent's network stay.
 *
 * All methods reject with {@linkcode FirewallError} if the host's tool fails,
 * which waiting may cure, and with the signal's reason if aborted.
 */
export interface RuleSet {
  readonly tool: FirewallTool;
  /** The purpose of these rules, in two or three words. */
  readonly purpose: string;
  /**
   * Whether the kernel reports changes of these rules
   * (`linux/netlink/nftables_monitor.ts`): nf_tables does, iptables-legacy does
   * not.
   */
  reportsChanges(signal: AbortSignal): Promise<boolean>;
  /** The rules in our chains now, one line each, in the tool's notation. */
  list(signal: AbortSignal): Promise<string[]>;
  /**
   * What `ensure` would change now, one line each; empty if all rules are in
   * place.
   */
  check(rules: FirewallRules, signal: AbortSignal): Promise<string[]>;
  /**
   * Sets the rules, in order, in one transaction per table, and verifies that
   * they are there.
   *
   * @returns what was changed; empty if nothing had to be.
   */
  ensure(rules: FirewallRules, signal: AbortSignal): Promise<string[]>;
  /** @returns what was removed, or would be; empty if there was nothing. */
  remove(removal: FirewallRemoval, signal: AbortSignal): Promise<string[]>;
}

/**
 * The host's firewall: flannel's rules (compat 9).
 *
 * Await `ensure` with `masquerade` before you publish `FLANNEL_IPMASQ=true`:
 * that line makes Docker remove its own masquerade.
 */
export type Firewall = RuleSet;
