/**
 * Which packets of this host's containers speak as somebody else, whatever tool
 * drops them.
 *
 * A container with NET_RAW, which Docker gives by default, can send any packet
 * from any address to its bridge. Docker forwards it and masquerades only sources
 * that it knows. So a container could send outer packets in the name of another
 * host, to a third one or to its own. No receiver can tell: the host of the
 * container must not let them out.
 *
 * - `forward`: outer packets that leave by a device of the underlay and came by
 *   another one; and packets into the overlay with the addresses that are the
 *   host's own, `.0` and `.1` of its subnet. (The kernel drops these by itself
 *   unless `accept_local` is set.)
 * - `input`: outer packets for this host that came by no device of the underlay.
 * - `prerouting`: packets into the overlay that came by the containers' bridge
 *   from an address that is not routed there. A source within the overlay is
 *   another host's; one outside would be masqueraded as the host's.
 *
 * Packets that a bridge carries from one of its ports to another, as between
 * virtual machines, cross these hooks too where `bridge-nf-call-iptables` is on.
 * They leave by the device that they came by, the bridge itself, so the rules of
 * `forward` do not match them; `prerouting` is about the containers' bridge alone.
 *
 * @module
 */

import { type Cidr, formatCidr } from "../../net/cidr.ts";
import type { OuterTraffic } from "../../net/underlay.ts";
import type { FirewallRules } from "./firewall.ts";

/** Where a rule stands. */
export const SPOOFING_HOOKS = ["prerouting", "input", "forward"] as const;
export type SpoofingHook = typeof SPOOFING_HOOKS[number];

/** Packets to drop: those for which all of it is true. */
export interface SpoofingDrop {
  readonly hook: SpoofingHook;
  /** Came by one of these devices. */
  readonly from?: readonly string[];
  /** Came by none of these. */
  readonly notFrom?: readonly string[];
  /** Leaves by one of these. */
  readonly to?: readonly string[];
  readonly source?: Cidr;
  readonly notSource?: Cidr;
  readonly destination?: Cidr;
  readonly traffic?: OuterTraffic;
  /** Its source is not routed to the device by which it came. */
  readonly isUnrouted?: true;
}

/** What is dropped, in no order; nothing where there are to be no such rules. */
export function planAntiSpoofing(
  { network, subnet, antiSpoofing, overlayDevice }: FirewallRules,
): SpoofingDrop[] {
  if (antiSpoofing === undefined || antiSpoofing === "kept") return [];
  const { underlay: { traffic, devices } } = antiSpoofing;
  const underlays = [...devices].sort();
  const bridges = [...antiSpoofing.bridges].sort();
  const drops: SpoofingDrop[] = traffic.flatMap((each) => [
    { hook: "input", notFrom: ["lo", ...underlays], traffic: each },
    { hook: "forward", notFrom: underlays, to: underlays, traffic: each },
  ]);
  if (overlayDevice !== undefined) {
    drops.push({
      hook: "forward",
      to: [overlayDevice],
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

/** In front of the comments of one network's rules. */
export function spoofingLabel(network: Cidr): string {
  return `loden anti-spoofing ${formatCidr(network)}`;
}
