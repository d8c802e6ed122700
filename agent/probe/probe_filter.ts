/**
 * What tells the datagrams of peers' hosts from others before they are read.
 *
 * @module
 */

import { PROBE_TTL, type ProbeFilter } from "../../linux/probe_socket.ts";
import { netmask } from "../../net/cidr.ts";
import { type Ipv4, toIpv4 } from "../../net/ipv4.ts";
import type { Peer } from "../../net/peer.ts";

/** Where this host stands, as far as a filter needs it. */
export interface FilterTarget {
  /** By which packets of peers arrive. */
  readonly devices: readonly string[];
  /** See {@linkcode Peer}; `undefined`: any routers may be on the way. */
  readonly dataPath: string | undefined;
}

/**
 * Of all peers together, of which there may be thousands. Their hosts have the
 * first addresses of their subnets, so the other bits tell containers from them.
 */
export function filterFor(
  target: FilterTarget,
  peers: Iterable<{ readonly peer: Peer; readonly address: Ipv4 }>,
): Omit<ProbeFilter, "port"> {
  let least = PROBE_TTL;
  // Without peers, any address may be that of the first one.
  let clearBits: number | undefined;
  for (const { address, peer } of peers) {
    least = Math.min(least, leastTtl(target, peer));
    const hostBits = ~netmask(peer.subnet.prefixLength);
    clearBits = (clearBits ?? hostBits) & hostBits & ~address;
  }
  return {
    devices: target.devices,
    leastTtl: least,
    clearSourceBits: toIpv4(clearBits ?? 0),
  };
}

/** With which a packet of the peer's host arrives. */
export function leastTtl({ dataPath }: FilterTarget, peer: Peer): number {
  return dataPath === undefined
    ? 0
    : PROBE_TTL - ttlTakenBy(dataPath) - ttlTakenBy(peer.dataPath);
}

/** As flannel, the user-space data path takes one at each end (compat 7.5). */
function ttlTakenBy(dataPath: string | undefined): number {
  return dataPath === "tun" ? 1 : 0;
}
