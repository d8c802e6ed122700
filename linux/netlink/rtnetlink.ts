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

/** Kinds of devices that send and receive through ports, and have their addresses. */
export const KINDS_WITH_PORTS: readonly string[] = ["bond", "bridge", "team"];

/** A network device. Source: `linux/if_link.h`. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly mtuBytes: number;
  /** IFF_UP: the administrative state. */
  readonly up: boolean;
  /** IFF_LOWER_UP: up, with a carrier. */
  readonly carrier: boolean;
  /**
   * IF_OPER_UP (RFC 2863). The end of a pair that comes up first silently drops
   * packets until this is set, some milliseconds after the other end is up.
   */
  readonly operUp: boolean;
  /** IFF_LOOPBACK. */
  readonly loopback: boolean;
  /** IFF_NOARP: neighbours are not asked for their addresses. */
  readonly noArp: boolean;
  /** Six bytes, or none for a device without an Ethernet address. */
  readonly mac: Uint8Array;
  /** IFLA_INFO_KIND, such as `tun`, `veth`, `bridge`; empty for hardware. */
  readonly kind: string;
  /**
   * IFLA_LINK: the other end of a veth, the device below a VLAN. Undefined when
   * there is none or when it lies in another network namespace.
   */
  readonly peerIndex: number | undefined;
  /** The same in another network namespace, where the index counts. */
  readonly remoteIndex?: number;
  /** IFLA_MASTER: what the device is a port of, or the VRF that it belongs to. */
  readonly masterIndex?: number;
  /** Largest packet that the device is given to cut, 0 where it is unknown. */
  readonly gsoMaxBytes: number;
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
  /** RTAX_MTU: packets by this route are no larger; undefined: as the device. */
  readonly mtuBytes: number | undefined;
  /** Whether the route has several next hops (RTA_MULTIPATH). */
  readonly multipath: boolean;
  /** Of a route with several next hops: their devices, in the kernel's order. */
  readonly nextHopDevices?: readonly number[];
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
  /** rtm_protocol: who installs the route; RTPROT_BOOT by default. Not compared on removal. */
  readonly protocol?: number;
  /** RTAX_MTU. */
  readonly mtuBytes?: number;
}

/** A look-up for other than ordinary packets. */
export interface RouteQuery {
  /** RTA_OIF: only by this device. */
  readonly interfaceIndex?: number;
  /** RTA_MARK: for packets with this firewall mark. */
  readonly mark?: number;
  /** RTA_SRC. */
  readonly source?: Ipv4;
  /**
   * RTA_IIF: for a packet that arrives on this device, from `source`. The kernel
   * checks it as it would check the packet (`ip_route_input` in
   * net/ipv4/route.c): `EXDEV` when the reverse path filter drops it, `EINVAL`
   * for a source that cannot be, `EHOSTUNREACH` when it is not forwarded. From
   * Linux 6.13 on the first two are `EINVAL`.
   */
  readonly arrivesByIndex?: number;
}

/** How the kernel would send to an address. */
export interface RouteAnswer {
  readonly interfaceIndex: number;
  /** Whether the destination is an address of this host. */
  readonly isLocal?: boolean;
  /** Whether the MTU is what an ICMP message has taught, and will be forgotten. */
  readonly isLearned?: boolean;
  readonly gateway: Ipv4 | undefined;
  readonly source: Ipv4 | undefined;
  /** Of the route, or what an ICMP message has taught; else as the device. */
  readonly mtuBytes: number | undefined;
}

/** Changes to a link; what is not named stays. */
export interface LinkChange {
  readonly up?: boolean;
  readonly mtuBytes?: number;
  readonly alias?: string;
  /** A new name, for a device that is down. */
  readonly name?: string;
  /** Whether to ask neighbours for their addresses. */
  readonly arp?: boolean;
  /** Largest packet that the device is given to cut: up to 65,536 bytes. */
  readonly gsoMaxBytes?: number;
  /** A new Ethernet address, six bytes. */
  readonly mac?: Uint8Array;
}

/**
 * Two Ethernet devices of which each receives what the other one sends. Neither
 * asks for neighbours (NOARP) or gives itself an IPv6 address. On a host that
 * forwards IPv6 each reports its multicast group of routers when it comes up.
 */
export interface NewVethPair {
  /** Up to 15 bytes. With `%d` in it the kernel chooses a number. */
  readonly name: string;
  /** The same for the other end; the kernel may choose another number there. */
  readonly peerName: string;
  /** Six bytes. A device without would get random ones, which udev changes. */
  readonly mac: Uint8Array;
  readonly peerMac: Uint8Array;
  readonly mtuBytes: number;
  readonly peerMtuBytes: number;
  /** Send and receive queues of both ends; 1 if absent. */
  readonly queues?: number;
  /** Of both. */
  readonly alias?: string;
}

/** What a VXLAN device was made with. Source: `linux/if_link.h`. */
export interface VxlanSettings {
  /** The network's identifier, 24 bits. */
  readonly vni: number;
  /** The device that carries the outer packets; 0 for none. */
  readonly underlayIndex: number;
  /** The outer source address. */
  readonly local: Ipv4 | undefined;
  /** UDP port of every host. */
  readonly port: number;
  /** Whether remotes are learnt from what arrives. */
  readonly learning: boolean;
  /** Whether the outer UDP header has a checksum. */
  readonly outerChecksum: boolean;
  /** VXLAN-GBP: a group policy id in each header. */
  readonly groupPolicy: boolean;
}

/** A VXLAN device that is to be made. */
export interface NewVxlan extends VxlanSettings {
  readonly name: string;
  /** Six bytes. A device without would get random ones, which udev changes. */
  readonly mac: Uint8Array;
  /** Inner packets. Above what the underlay can carry the kernel takes less. */
  readonly mtuBytes: number;
  readonly local: Ipv4;
}

/** What an ipip device was made with. */
export interface IpipSettings {
  /** The outer source address; undefined for any. */
  readonly local: Ipv4 | undefined;
  /** The outer destination; undefined for what the route says. */
  readonly remote: Ipv4 | undefined;
}

/** An ipip device that is to be made, without a remote. */
export interface NewIpip {
  readonly name: string;
  readonly local: Ipv4;
  readonly mtuBytes: number;
}

/** A permanent IPv4 neighbour of a device. */
export interface Neighbour {
  readonly interfaceIndex: number;
  readonly address: Ipv4;
  /** Six bytes. */
  readonly mac: Uint8Array;
}

/** NUD_*: `reachable` and `permanent` are sure, `failed` has not answered. */
export type NeighbourState =
  | "incomplete"
  | "reachable"
  | "stale"
  | "delay"
  | "probe"
  | "failed"
  | "noarp"
  | "permanent"
  | "none";

/** A neighbour of any state. */
export interface NeighbourEntry {
  readonly address: Ipv4;
  readonly state: NeighbourState;
  /** Six bytes, or none where the address is not known. */
  readonly mac: Uint8Array;
}

/** A permanent entry of a VXLAN device's forwarding database. */
export interface ForwardingEntry {
  readonly interfaceIndex: number;
  /** The inner destination, six bytes. */
  readonly mac: Uint8Array;
  /** The outer destination. */
  readonly remote: Ipv4;
}

/** Both ends, as they are. */
export interface VethPair {
  readonly link: Link;
  readonly peer: Link;
}

/**
 * Every method throws {@linkcode NetlinkError} with the kernel's errno when the
 * kernel refuses. "Not there" on removal and "already there" on `replaceRoute`
 * and `ensureAddress` are no errors: these methods say whether they changed
 * anything.
 */
export interface Rtnetlink extends Disposable {
  /** Of the socket, by which reports tell who made a change; absent without one. */
  readonly portId?: number;
  links(): Link[];
  addresses(): LinkAddress[];
  /** Every IPv4 route of every table, in the kernel's order. */
  routes(): Route[];
  /** RTM_GETROUTE for one destination. Throws when there is no route. */
  routeTo(destination: Ipv4, query?: RouteQuery): RouteAnswer;
  /**
   * Devices of the route that a destination matches: of several next hops, all.
   * Throws when there is no route.
   */
  nextHops(destination: Ipv4): readonly number[];
  /** A new pair, down. Throws `EEXIST` when one of the names is taken. */
  createVethPair(pair: NewVethPair): VethPair;
  /** A new device, down. Throws `EEXIST` when the name or the VNI is taken. */
  createVxlan(vxlan: NewVxlan): Link;
  /**
   * A new WireGuard device, down. Throws `EEXIST` when the name is taken, and
   * `EOPNOTSUPP` where the kernel has no WireGuard.
   */
  createWireguard(
    device: { readonly name: string; readonly mtuBytes: number },
  ): Link;
  /** Undefined for a device that is not there, or of another kind. */
  vxlanSettings(interfaceIndex: number): VxlanSettings | undefined;
  /**
   * A new device, down. Throws `EEXIST` when the name, or the local address with
   * any remote, is taken.
   */
  createIpip(ipip: NewIpip): Link;
  /** Undefined for a device that is not there, or of another kind. */
  ipipSettings(interfaceIndex: number): IpipSettings | undefined;
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
  /**
   * The same for thousands, in few system calls. A refused one does not keep the
   * others out; the first refusal is thrown at the end.
   *
   * The kernel compares a new next hop with all that have its device, metric and
   * preferred source (`fib_find_info` in `net/ipv4/fib_semantics.c`): 10,000
   * gateways take it a second, with metrics of their own a tenth of that.
   */
  replaceRoutes(routes: readonly NewRoute[]): void;
  removeRoute(route: NewRoute): boolean;
  /** The same for thousands; how many were there. */
  removeRoutes(routes: readonly NewRoute[]): number;
  /** The permanent IPv4 neighbours of a device. */
  neighbours(interfaceIndex: number): Neighbour[];
  /** All IPv4 neighbours of a device. */
  neighbourEntries(interfaceIndex: number): NeighbourEntry[];
  /**
   * Adds neighbours, or takes the place of those with their addresses; thousands
   * in few system calls, as {@linkcode replaceRoutes}.
   */
  replaceNeighbours(neighbours: readonly Neighbour[]): void;
  /** How many were there; the hardware address is not compared. */
  removeNeighbours(neighbours: readonly Neighbour[]): number;
  /** The permanent entries of a VXLAN device's forwarding database. */
  forwardingEntries(interfaceIndex: number): ForwardingEntry[];
  /** Adds entries, or takes the place of those with their hardware addresses. */
  replaceForwardingEntries(entries: readonly ForwardingEntry[]): void;
  /** How many were there; the remote is not compared. */
  removeForwardingEntries(entries: readonly ForwardingEntry[]): number;
}

/** For callers that change nothing. */
export type RtnetlinkReader = Pick<
  Rtnetlink,
  "links" | "addresses" | "routes" | "routeTo"
>;
