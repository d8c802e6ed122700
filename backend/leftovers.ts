/**
 * What another backend has left on this host inside the overlay: devices with
 * their routes, and routes by the underlay.
 *
 * Such a route is as specific as the present backend's and often has a better
 * metric. Then the packets to that host follow it and are lost.
 *
 * @module
 */

import { MAIN_TABLE, RTPROT_BOOT } from "../linux/netlink/route.ts";
import type {
  Link,
  LinkAddress,
  Route,
  Rtnetlink,
  RtnetlinkReader,
} from "../linux/netlink/rtnetlink.ts";
import {
  type Cidr,
  contains,
  equalCidr,
  formatCidr,
  isWithin,
} from "../net/cidr.ts";
import { formatIpv4 } from "../net/ipv4.ts";
import type {
  BackendDescriptor,
  BackendHost,
  BackendOptions,
} from "./backend_descriptor.ts";
import { UNREACHABLE_METRIC } from "./overlay_device.ts";
import { ROUTE_PROTOCOL } from "./reconcile/kernel_state.ts";
import { removeKernelPath } from "./udp/ebpf/remove.ts";

/** One thing that is in the way. */
export interface Leftover {
  /** `device flannel.1 with 3 routes`. */
  readonly what: string;
  /** `loden`: this network's own, by its alias or the routes' protocol number. */
  readonly owner: "loden" | "flannel";
  /** The command that removes it. */
  readonly fix: string;
  /** The device that disappears with it. */
  readonly device?: Link;
  /** Removes it. */
  readonly remove: (rtnetlink: Rtnetlink) => void;
}

/** The host's state. */
interface HostState {
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];
  readonly routes: readonly Route[];
}

/** A backend that runs or is about to, with its options. */
export interface PresentBackend {
  readonly descriptor: BackendDescriptor;
  readonly options: BackendOptions;
}

/** What belongs to the network. */
export interface LeftoverScope {
  readonly network: Cidr;
  /** Of each host. */
  readonly subnetLength: number;
  /** Marks the devices of this network. */
  readonly deviceAlias: string;
  /** `--device`. */
  readonly device: string;
  /** Their devices and routes are no leftovers. */
  readonly present: readonly PresentBackend[];
}

/** Names of flannel's devices, and of Loden's, which are the same. */
const FLANNEL_DEVICE = /^flannel(\d+|\.\d+|\.ipip|-wg(-v6)?|-v6\.\d+)$/;

/** As of now. */
export function findLeftovers(
  rtnetlink: RtnetlinkReader,
  scope: LeftoverScope,
): Leftover[] {
  const host: HostState = {
    links: rtnetlink.links(),
    addresses: rtnetlink.addresses(),
    routes: rtnetlink.routes(),
  };
  return [
    ...leftDevices(host, scope),
    ...leftRoutes(host, scope),
    ...leftSafetyRoute(host, scope),
  ];
}

/** Removes one, the programs of a kernel data path before its device. */
export function removeLeftover(
  parts: Pick<BackendHost["parts"], "rtnetlink" | "openBpf">,
  deviceAlias: string,
  { device, owner, remove }: Leftover,
): void {
  if (owner === "loden" && device?.kind === "veth") {
    removeKernelPath(parts, deviceAlias);
  } else {
    remove(parts.rtnetlink);
  }
}

function leftDevices(
  { addresses, links, routes }: HostState,
  { network, deviceAlias, device, present }: LeftoverScope,
): Leftover[] {
  const kept = new Set(
    links.filter((link) =>
      present.some((backend) => isDeviceOf(link, backend, deviceAlias, device))
    ).flatMap(({ index, peerIndex }) => [index, peerIndex]),
  );
  return links.flatMap((link): Leftover[] => {
    const { alias, index, name, peerIndex } = link;
    if (kept.has(index)) return [];
    // The other end of a pair goes with `flannel0`.
    const peer = links.find((other) => other.index === peerIndex);
    if (peer?.alias === deviceAlias && name.startsWith(peer.name)) return [];
    const isOwn = alias === deviceAlias;
    if (!isOwn && (alias !== "" || !FLANNEL_DEVICE.test(name))) return [];
    const through = routes.filter((route) =>
      route.table === MAIN_TABLE && route.interfaceIndex === index &&
      isWithin(route.destination, network)
    );
    const isInNetwork = through.length > 0 ||
      addresses.some((each) =>
        each.interfaceIndex === index && contains(network, each.address)
      );
    // flannel's device of another network is none of this agent's business.
    if (!isOwn && !isInNetwork) return [];
    return [{
      what: `device ${name} with ${count(through.length, "route")}`,
      owner: isOwn ? "loden" : "flannel",
      fix: `ip link delete ${name}`,
      device: link,
      remove: (rtnetlink) => void rtnetlink.deleteLink(index),
    }];
  });
}

function isDeviceOf(
  link: Link,
  { descriptor, options }: PresentBackend,
  deviceAlias: string,
  device: string,
): boolean {
  const name = descriptor.deviceName(options, device);
  if (name === undefined) return false;
  const pattern = new RegExp(
    `^${name.split("%d").map(RegExp.escape).join("\\d+")}$`,
  );
  const isOfKind = descriptor.deviceKinds?.includes(link.kind) ?? true;
  return isOfKind &&
    (pattern.test(link.name) ||
      (descriptor.deviceKinds !== undefined && link.alias === deviceAlias));
}

/**
 * Routes to a host's subnet through that host. flannel's have the protocol of
 * `ip route`, as an administrator's have: they are told by their shape.
 */
function leftRoutes(
  { links, routes }: HostState,
  { network, subnetLength, present }: LeftoverScope,
): Leftover[] {
  const isExpected = present.some(({ descriptor, options }) =>
    descriptor.routesByUnderlay?.(options) ?? false
  );
  if (isExpected) return [];
  const left = routes.filter((route) =>
    isPeerRoute(route, network, subnetLength) &&
    !links.some(({ index, name, alias }) =>
      index === route.interfaceIndex &&
      (FLANNEL_DEVICE.test(name) || alias.startsWith("loden:"))
    )
  );
  return (["loden", "flannel"] as const).flatMap((owner) => {
    const protocol = owner === "loden" ? ROUTE_PROTOCOL : RTPROT_BOOT;
    const owned = left.filter((route) => route.protocol === protocol);
    const [first] = owned;
    if (first === undefined) return [];
    const name = owner === "loden" ? "76" : "boot";
    return [{
      what: `${count(owned.length, "route")} to other hosts, such as ` +
        `${formatCidr(first.destination)} via ${formatIpv4(first.gateway!)}`,
      owner,
      fix: `ip route flush root ${formatCidr(network)} proto ${name}`,
      remove: (rtnetlink) =>
        void rtnetlink.removeRoutes(
          owned.map(({ destination, gateway, interfaceIndex, metric }) => ({
            destination,
            metric,
            gateway: gateway!,
            interfaceIndex: interfaceIndex!,
          })),
        ),
    }];
  });
}

/**
 * The `unreachable` route behind a former backend's device. Beside alloc and
 * extension, others route the subnets, often by the default route.
 */
function leftSafetyRoute(
  { routes }: HostState,
  { device, network, present }: LeftoverScope,
): Leftover[] {
  const isCarrier = ({ descriptor, options }: PresentBackend) =>
    descriptor.deviceName(options, device) !== undefined ||
    (descriptor.routesByUnderlay?.(options) ?? false);
  if (present.length === 0 || present.some(isCarrier)) return [];
  const route = {
    destination: network,
    type: "unreachable",
    metric: UNREACHABLE_METRIC,
  } as const;
  const isThere = routes.some(({ destination, metric, table, type }) =>
    table === MAIN_TABLE && type === route.type && metric === route.metric &&
    equalCidr(destination, network)
  );
  if (!isThere) return [];
  const text = `unreachable ${formatCidr(network)}`;
  return [{
    what: `route ${text}`,
    owner: "loden",
    fix: `ip route delete ${text} metric ${route.metric}`,
    remove: (rtnetlink) => void rtnetlink.removeRoute(route),
  }];
}

/** Whether a route has the shape of those that flannel and Loden set by host-gw. */
export function isPeerRoute(
  route: Route,
  network: Cidr,
  subnetLength: number,
): boolean {
  const { destination, gateway, protocol, table, type } = route;
  return table === MAIN_TABLE && type === "unicast" &&
    gateway !== undefined && !contains(network, gateway) &&
    route.interfaceIndex !== undefined &&
    destination.prefixLength === subnetLength &&
    destination.prefixLength > network.prefixLength &&
    isWithin(destination, network) &&
    (protocol === ROUTE_PROTOCOL || protocol === RTPROT_BOOT);
}

function count(number: number, noun: string): string {
  return number === 1 ? `one ${noun}` : `${number || "no"} ${noun}s`;
}
