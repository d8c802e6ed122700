/**
 * A made-up IPv4 packet at one hook of netfilter, and what is known of it.
 *
 * @module
 */

import type { Ipv4 } from "../../../net/ipv4.ts";

/** Where chains are called. */
export type Hook =
  | "prerouting"
  | "input"
  | "forward"
  | "output"
  | "postrouting";

/** The first packet of a new connection; of ICMP, an echo request. */
export interface TestPacket {
  readonly hook: Hook;
  /** The device on which it arrived; `undefined` for a packet of this host. */
  readonly arrivesOn: string | undefined;
  /** The device by which it leaves; `undefined` before the route is known. */
  readonly leavesBy: string | undefined;
  readonly source: Ipv4;
  readonly destination: Ipv4;
  /** IPPROTO_*. */
  readonly protocol: number;
  /** Of a protocol that has ports; `undefined`: any. */
  readonly port: number | undefined;
  /** IPv4 header included. */
  readonly sizeBytes: number;
  /** Whether an address belongs to this host; `undefined`: it cannot be told. */
  readonly isLocal: (address: Ipv4) => boolean | undefined;
  /**
   * Whether the route to the source leaves by the device on which the packet
   * arrived; `undefined`: it cannot be told.
   */
  readonly isSourceRouted: boolean | undefined;
}

/** What rules change on the way. */
export interface PacketState {
  /** The firewall mark; `undefined`: it cannot be told. */
  mark: number | undefined;
  /** `undefined`: it cannot be told. */
  connection: "new" | "untracked" | undefined;
}

/** How a packet enters: without a mark. */
export function freshState(): PacketState {
  return { mark: 0, connection: "new" };
}

/** Whether a condition holds; `undefined`: it cannot be told. */
export type Holds = boolean | undefined;

/** All of them; one that does not hold decides. */
export function allHold(conditions: readonly Holds[]): Holds {
  if (conditions.includes(false)) return false;
  return conditions.includes(undefined) ? undefined : true;
}

/** One of them; one that holds decides. */
export function anyHolds(conditions: readonly Holds[]): Holds {
  if (conditions.includes(true)) return true;
  return conditions.includes(undefined) ? undefined : false;
}

/** The contrary; what cannot be told stays so. */
export function negated(condition: Holds): Holds {
  return condition === undefined ? undefined : !condition;
}
