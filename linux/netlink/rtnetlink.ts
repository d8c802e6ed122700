/**
 * The routing tables, addresses and links of one network namespace.
 *
 * Calls are synchronous: the kernel answers a netlink request before `sendmsg`
 * returns, so there is nothing to wait for.
 *
 * @module
 */

import type { Cidr } from "../../net/cidr.ts";
import type { Ipv4 } from "../../net/ipv4.ts";

/** A network device. Source: `linux/if_link.h`. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly mtuBytes: number;
  /** IFF_UP: the administrative state. */
  readonly up: boolean;
  /** IFF_LOOPBACK. */
  readonly loopback: boolean;
  /** Six bytes, or none for a device without an Ethernet address. */
  readonly mac: Uint8Array;
  /** IFLA_INFO_KIND, such as `tun`, `veth`, `bridge`; empty for hardware. */
  readonly kind: string;
  /** IFLA_IFALIAS, empty when there is none. Loden marks its devices with it. */
  readonly alias: string;
  /** Counters of packets that the device dropped, IFLA_STATS64. */
  readonly rxDropped: number;
  readonly txDropped: number;
}

/** An IPv4 address of a device. */
export interface LinkAddress {
  readonly interfaceIndex: number;
  readonly address: Ipv4;
  readonly prefixLength: number;
  readonly scope: RouteScope;
  /** IFA_F_PERMANENT: not from a lease with a life time. */
  readonly permanent: boolean;
  /** IFA_F_DEPRECATED. */
  readonly deprecated: boolean;
  /** IFA_F_SECONDARY. */
  readonly secondary: boolean;
}

/** rt_scope_t of `linux/rtnetlink.h`; values without a name are numbers. */
export type RouteScope =
  | "global"
  | "site"
  | "link"
  | "host"
  | "nowhere"
  | number;

/** An IPv4 route. */
export interface Route {
  readonly destination: Cidr;
  /** `unreachable` answers with ICMP host unreachable. */
  readonly type: "unicast" | "unreachable" | "blackhole" | "local" | "other";
  readonly table: number;
  readonly interfaceIndex: number | undefined;
  readonly gateway: Ipv4 | undefined;
  readonly preferredSource: Ipv4 | undefined;
  readonly metric: number;
  readonly scope: RouteScope;
  /** rtm_protocol: who installed the route. */
  readonly protocol: number;
  /** Whether the route has several next hops (RTA_MULTIPATH). */
  readonly multipath: boolean;
}

/** What to put into the main table. */
export interface NewRoute {
  readonly destination: Cidr;
  readonly type?: "unicast" | "unreachable" | "blackhole";
  readonly interfaceIndex?: number;
  readonly gateway?: Ipv4;
  readonly preferredSource?: Ipv4;
  readonly metric?: number;
  readonly scope?: RouteScope;
  /** RTNH_F_ONLINK: do not ask whether the gateway is reachable. */
  readonly onlink?: boolean;
}

/** How the kernel would send to an address. */
export interface RouteAnswer {
  readonly interfaceIndex: number;
  readonly gateway: Ipv4 | undefined;
  readonly source: Ipv4 | undefined;
  readonly mtuBytes: number | undefined;
}

/** Changes to a link; what is not named stays. */
export interface LinkChange {
  readonly up?: boolean;
  readonly mtuBytes?: number;
  readonly alias?: string;
  readonly txQueueLength?: number;
}

/**
 * Every method throws {@linkcode NetlinkError} with the kernel's errno when the
 * kernel refuses. "Not there" on removal and "already there" on `replaceRoute`
 * and `ensureAddress` are no errors: these methods say whether they changed
 * anything.
 */
export interface Rtnetlink extends Disposable {
  links(): Link[];
  addresses(): LinkAddress[];
  /** Every IPv4 route of every table, in the kernel's order. */
  routes(): Route[];
  /** RTM_GETROUTE for one destination. Throws when there is no route. */
  routeTo(destination: Ipv4): RouteAnswer;
  changeLink(interfaceIndex: number, change: LinkChange): void;
  deleteLink(interfaceIndex: number): boolean;
  ensureAddress(
    interfaceIndex: number,
    address: { address: Ipv4; prefixLength: number },
  ): boolean;
  removeAddress(
    interfaceIndex: number,
    address: { address: Ipv4; prefixLength: number },
  ): boolean;
  /** Adds the route, or takes the place of one with its destination and metric. */
  replaceRoute(route: NewRoute): void;
  removeRoute(route: NewRoute): boolean;
}
