/**
 * Which packets of this host's containers are spoofed, whichever tool drops
 * them.
 *
 * A container with NET_RAW, which Docker gives by default, can send any packet
 * from any address to its bridge. Docker forwards it and masquerades only
 * sources that it knows. A container could therefore send outer packets in the
 * name of another host, to a third host or to its own. A receiver cannot detect
 * that, so the container's host must drop them.
 *
 * - `forward`: outer packets that leave through an underlay device and arrived
 *   on another one; and packets into the overlay with the host's own addresses,
 *   `.0` and `.1` of its subnet. (The kernel drops these unless `accept_local`
 *   is set.)
 * - `input`: outer packets for this host that did not arrive on an underlay
 *   device.
 * - `prerouting`: packets into the overlay that arrived on the containers'
 *   bridge from an address that is not routed there. A source within the
 *   overlay belongs to another host; one outside would be masqueraded as the
 *   host's.
 *
 * Packets that a bridge carries from one of its ports to another, as between
 * virtual machines, pass these hooks as well if `bridge-nf-call-iptables` is
 * on. They leave through the device on which they arrived, the bridge itself,
 * so the rules of `forward` do not match them; `prerouting` is about the
 * containers' bridge alone.
 *
 * @module
 */

import { type Cidr, formatCidr } from "../../net/cidr.ts";
import type { OuterTraffic } from "../../net/underlay.ts";
import { type FirewallRules, overlayDevices } from "./firewall.ts";

/** The hook of a rule. */
export const SPOOFING_HOOKS = ["prerouting", "input", "forward"] as const;
export type SpoofingHook = typeof SPOOFING_HOOKS[number];

/** A rule that drops packets for which all conditions are true. */
export interface SpoofingDrop {
  readonly hook: SpoofingHook;
  /** Arrived on one of these devices. */
  readonly from?: readonly string[];
  /** Arrived on none of these. */
  readonly notFrom?: readonly string[];
  /** Leaves through one of these. */
  readonly to?: readonly string[];
  readonly source?: Cidr;
  readonly notSource?: Cidr;
  readonly destination?: Cidr;
  readonly traffic?: OuterTraffic;
  /** Its source is not routed to the device on which it arrived. */
  readonly isUnrouted?: true;
}

/** What to drop, in any order; empty if no such rules are wanted. */
export function planAntiSpoofing(
  rules: FirewallRules,
): SpoofingDrop[] {
  const { network, subnet, antiSpoofing } = rules;
  if (antiSpoofing === undefined || antiSpoofing === "kept") return [];
  const { underlay: { traffic, devices } } = antiSpoofing;
  const underlays = [...devices].sort();
  const bridges = [...antiSpoofing.bridges].sort();
  const drops: SpoofingDrop[] = traffic.flatMap((each) => [
    { hook: "input", notFrom: ["lo", ...underlays], traffic: each },
    { hook: "forward", notFrom: underlays, to: underlays, traffic: each },
  ]);
  const overlays = overlayDevices(rules);
  if (overlays.length > 0) {
    drops.push({
      hook: "forward",
      to: overlays,
      // The first two addresses.
      source: { address: subnet.address, prefixLength: 31 },
    });
  }
  if (bridges.length > 0) {
    drops.push({
      hook: "prerouting",
      from: bridges,
      notSource: subnet,
      destination: network,
      isUnrouted: true,
    });
  }
  return drops;
}

/** Prefix of the comments of one network's rules. */
export function spoofingLabel(network: Cidr): string {
  return `loden anti-spoofing ${formatCidr(network)}`;
}
