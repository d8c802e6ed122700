/**
 * Whether the overlay's addresses are free on this host.
 *
 * @module
 */

import { MAIN_TABLE } from "../linux/netlink/route.ts";
import type {
  Link,
  LinkAddress,
  Route,
  RtnetlinkReader,
} from "../linux/netlink/rtnetlink.ts";
import {
  type Cidr,
  contains,
  equalCidr,
  formatCidr,
  overlaps,
} from "../net/cidr.ts";
import { formatIpv4, isLoopback } from "../net/ipv4.ts";
import { isManagedBridge, isOverlayDevice } from "./underlay/link_kinds.ts";

/** A route or address of this host that overlaps the overlay. */
export interface NetworkOverlap {
  /**
   * `conflict`: packets of the overlay or of the underlay would be misrouted.
   * `takeover`: the overlay takes part of a wider route through a gateway,
   * which may be intended.
   */
  readonly kind: "conflict" | "takeover";
  /** In ip(8)'s notation: `10.1.0.0/24 dev eth0`. */
  readonly text: string;
  /** The command that removes it; none if that would cut the host off. */
  readonly fix: string | undefined;
}

/** The host's state, as read from the kernel. */
export interface HostNetworks {
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];
  readonly routes: readonly Route[];
}

/** Reads it from the kernel. @throws {SystemCallError} */
export function readHostNetworks(rtnetlink: RtnetlinkReader): HostNetworks {
  return {
    links: rtnetlink.links(),
    addresses: rtnetlink.addresses(),
    routes: rtnetlink.routes(),
  };
}

/** A route with this metric is one of our safety routes. */
const LEAST_SAFETY_METRIC = 0x1000_0000;
/** VPNs use 0.0.0.0/1 and 128.0.0.0/1 for "everything". */
const LONGEST_DEFAULT_PREFIX = 1;

/**
 * Compares `network` with the addresses and the main routing table of this
 * host.
 *
 * Ignores what belongs to an overlay or to Docker: routes through overlay
 * devices, and bridges with addresses in the network, which are Docker's
 * (`host/docker/bridge_fit.ts` checks whether they are on the right lease).
 */
export function findOverlaps(
  network: Cidr,
  host: HostNetworks,
): NetworkOverlap[] {
  const linkOf = (index: number | undefined) =>
    host.links.find((link) => link.index === index);
  const outward = outwardDevices(host);
  const isExpected = (cidr: Cidr, link: Link | undefined) =>
    link !== undefined &&
    (isOverlayDevice(link) ||
      (link.kind === "bridge" &&
        (isManagedBridge(link) || !outward.has(link.index)) &&
        cidr.prefixLength > network.prefixLength));
  const found: NetworkOverlap[] = [];
  for (const route of host.routes) {
    const { destination, interfaceIndex, gateway } = route;
    const link = linkOf(interfaceIndex);
    if (
      route.table !== MAIN_TABLE || route.type !== "unicast" ||
      destination.prefixLength <= LONGEST_DEFAULT_PREFIX ||
      !overlaps(network, destination) || isExpected(destination, link)
    ) continue;
    const isWider = destination.prefixLength < network.prefixLength;
    const text = describeRoute(route, link);
    const isOwnSubnet = gateway === undefined &&
      interfaceIndex !== undefined && outward.has(interfaceIndex);
    found.push({
      kind: isWider && gateway !== undefined ? "takeover" : "conflict",
      text,
      fix: isOwnSubnet ? undefined : `ip route del ${text}`,
    });
  }
  return [...found, ...findAddresses(network, host, found, isExpected)];
}

/** Addresses that no route in `found` covers, such as a /32. */
function findAddresses(
  network: Cidr,
  { addresses, links }: HostNetworks,
  found: readonly NetworkOverlap[],
  isExpected: (cidr: Cidr, link: Link | undefined) => boolean,
): NetworkOverlap[] {
  return addresses.flatMap(({ address, prefixLength, interfaceIndex }) => {
    const link = links.find(({ index }) => index === interfaceIndex);
    const name = link?.name ?? `interface ${interfaceIndex}`;
    const isSaid = found.some(({ text }) => text.endsWith(` dev ${name}`));
    if (
      !contains(network, address) || isLoopback(address) || isSaid ||
      isExpected({ address, prefixLength }, link)
    ) return [];
    const text = `${formatIpv4(address)}/${prefixLength} dev ${name}`;
    return [{ kind: "conflict", text, fix: `ip address del ${text}` }];
  });
}

/** Devices that lead out of the host; a bridge among them is an underlay. */
function outwardDevices({ routes }: HostNetworks): ReadonlySet<number> {
  return new Set(
    routes.filter(({ gateway }) => gateway !== undefined)
      .flatMap(({ interfaceIndex }) => interfaceIndex ?? []),
  );
}

function describeRoute(
  { destination, gateway, interfaceIndex }: Route,
  link: Link | undefined,
): string {
  const words = [formatCidr(destination)];
  if (gateway !== undefined) words.push("via", formatIpv4(gateway));
  const name = link?.name ?? interfaceIndex;
  if (name !== undefined) words.push("dev", String(name));
  return words.join(" ");
}

/**
 * Whether this network has been running here since boot. If so, a route that
 * was added later must not stop it.
 */
export function isServedAlready(network: Cidr, host: HostNetworks): boolean {
  return host.routes.some((route) =>
    equalCidr(route.destination, network) && route.type === "unreachable" &&
    route.metric >= LEAST_SAFETY_METRIC
  );
}
