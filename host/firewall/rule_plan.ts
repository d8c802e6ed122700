/**
 * The rules that a network needs, whichever tool sets them (compat 9.1, 9.2).
 *
 * @module
 */

import { type Cidr, parseCidr } from "../../net/cidr.ts";
import type { FirewallRules } from "./firewall.ts";

/** An address that must, or must not, lie in a network. */
export interface AddressMatch {
  readonly cidr: Cidr;
  readonly negated: boolean;
}

/** One rule: match and action. */
export interface PlannedRule {
  /** All bits of this mask are set in the packet's mark. */
  readonly mark?: number;
  readonly source?: AddressMatch;
  readonly destination?: AddressMatch;
  readonly verdict: "return" | "accept" | "masquerade";
}

/** The rules of both chains, in their order. */
export interface RulePlan {
  /** Rules for NAT after routing; empty without masquerade. */
  readonly masquerade: readonly PlannedRule[];
  /** Rules for forwarded packets; empty without forward. */
  readonly forward: readonly PlannedRule[];
}

/**
 * Packets that kube-proxy marks for its own masquerade; a second one would
 * break them.
 */
const KUBE_PROXY_MARK = 0x4000;
const MULTICAST = parseCidr("224.0.0.0/4")!;

/**
 * Rules that do not concern a single network; they come first in their chain.
 */
export const SHARED_RULES: RulePlan = {
  masquerade: [{ mark: KUBE_PROXY_MARK, verdict: "return" }],
  forward: [],
};

/** No rules at all. */
export const NO_RULES: RulePlan = { masquerade: [], forward: [] };

/**
 * flannel HEAD's rules. Its nftables set has one rule that differs from its
 * iptables set and makes another unreachable (compat 9.3); both get the meaning
 * of the iptables set here.
 */
export function planRules(rules: FirewallRules): RulePlan {
  const { network, subnet } = rules;
  return {
    masquerade: rules.masquerade
      ? [
        ...SHARED_RULES.masquerade,
        // Within the overlay, containers see each other's addresses.
        { source: is(subnet), destination: is(network), verdict: "return" },
        { source: is(network), destination: is(subnet), verdict: "return" },
        // Clients from outside keep their addresses.
        { source: not(network), destination: is(subnet), verdict: "return" },
        {
          source: is(network),
          destination: not(MULTICAST),
          verdict: "masquerade",
        },
        // From this host to another host's containers: the answer must find a
        // route back.
        {
          source: not(network),
          destination: is(network),
          verdict: "masquerade",
        },
      ]
      : [],
    forward: rules.forward
      ? [
        { source: is(network), verdict: "accept" },
        { destination: is(network), verdict: "accept" },
      ]
      : [],
  };
}

function is(cidr: Cidr): AddressMatch {
  return { cidr, negated: false };
}

function not(cidr: Cidr): AddressMatch {
  return { cidr, negated: true };
}
