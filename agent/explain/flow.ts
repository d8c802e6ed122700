/**
 * The made-up packet that `loden explain` follows.
 *
 * @module
 */

import type { Ipv4 } from "../../net/ipv4.ts";

/** The first packet of a new connection, with DF set. */
export interface Flow {
  readonly source: Ipv4;
  readonly destination: Ipv4;
  /** IPPROTO_*. */
  readonly protocol: number;
  /** The destination port; `undefined`: any. */
  readonly port?: number;
  /** IPv4 header included. */
  readonly sizeBytes: number;
}

/** The protocols that can be named, with their numbers. */
export const FLOW_PROTOCOLS = { icmp: 1, tcp: 6, udp: 17 } as const;

/** Whether packets of a protocol have ports. */
export function hasPorts(protocol: number): boolean {
  return protocol === FLOW_PROTOCOLS.tcp || protocol === FLOW_PROTOCOLS.udp;
}
