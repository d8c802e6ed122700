/**
 * The address of a host at which its containers' network ends: what other hosts
 * probe, and from where they do.
 *
 * @module
 */

import { backendOf, isBackend } from "../../backend/backends.ts";
import type { Cidr } from "../../net/cidr.ts";
import { type Ipv4, toIpv4 } from "../../net/ipv4.ts";
import type { Peer } from "../../net/peer.ts";

/**
 * That of the overlay device, the first of the subnet; with a backend without such
 * a device (`host-gw`, `alloc`, `extension`), that of the bridge, the next one.
 */
export function probeAddress({ address }: Cidr, backendType: string): Ipv4 {
  return hasDevice(backendType) ? address : toIpv4(address + 1);
}

/** The same of a peer; `ownType` is the backend of this host. */
export function peerProbeAddress(
  { backendType, subnet }: Pick<Peer, "backendType" | "subnet">,
  ownType: string,
): Ipv4 {
  // Then every host has it, whatever a lease says: those of alloc name udp.
  const isAlone = backendOf(ownType).runsAlone !== undefined;
  return probeAddress(subnet, isAlone ? ownType : backendType);
}

function hasDevice(backendType: string): boolean {
  return !isBackend(backendType) ||
    backendOf(backendType).deviceName({}, "") !== undefined;
}
