/**
 * The difference between two underlays.
 *
 * @module
 */

import { formatIpv4 } from "../../net/ipv4.ts";
import { formatMac } from "../../net/mac.ts";
import type { Underlay } from "../../net/underlay.ts";

/** One line for each value that is another one now; empty when none is. */
export function describeUnderlayChange(
  before: Underlay,
  after: Underlay,
): string[] {
  const [from, to] = [shownValues(before), shownValues(after)];
  return Object.keys(from).filter((key) => from[key] !== to[key])
    .map((key) => `${key}: ${from[key]} -> ${to[key]}`);
}

/**
 * Whether connections that this host has made may hang: they were made from an
 * address, or by an interface, that is not there any more.
 */
export function isElsewhere(before: Underlay, after: Underlay): boolean {
  return before.address !== after.address ||
    before.interfaceIndex !== after.interfaceIndex;
}

function shownValues(underlay: Underlay): Record<string, string> {
  return {
    interface: underlay.interfaceName,
    index: String(underlay.interfaceIndex),
    address: formatIpv4(underlay.address),
    PublicIP: formatIpv4(underlay.publicIp),
    MTU: String(underlay.mtuBytes),
    "hardware address": formatMac(underlay.mac),
  };
}
