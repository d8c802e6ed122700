/**
 * Where an address is, and which way a packet takes from there.
 *
 * @module
 */

import type {
  Link,
  LinkAddress,
  NeighbourEntry,
  RouteAnswer,
} from "../../linux/netlink/rtnetlink.ts";
import { cidrOf, contains } from "../../net/cidr.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";
import type { HostDevices } from "../instance/own_devices.ts";
import type { PeerFacts, RouteFacts, Way } from "./snapshot.ts";

/** Whether an address is one of this host's own. */
export function isOwn({ addresses }: HostDevices, address: Ipv4): boolean {
  return addresses.some((each) => each.address === address);
}

/** The address of a device on whose link `address` is; the longest prefix. */
export function linkAddressOf(
  { addresses }: HostDevices,
  address: Ipv4,
): LinkAddress | undefined {
  return addresses.filter((each) =>
    each.prefixLength < 32 &&
    contains(cidrOf(each.address, each.prefixLength), address)
  ).toSorted((a, b) => b.prefixLength - a.prefixLength)[0];
}

/** The device on whose link an address is. */
export function linkOf(devices: HostDevices, address: Ipv4): Link | undefined {
  const found = linkAddressOf(devices, address);
  return devices.links.find(({ index }) => index === found?.interfaceIndex);
}

/** The device of a route; `undefined` if there is no route or device. */
export function linkOfRoute(
  { links }: Pick<HostDevices, "links">,
  route: RouteFacts | undefined,
): Link | undefined {
  return route?.kind === "found"
    ? links.find(({ index }) => index === route.answer.interfaceIndex)
    : undefined;
}

/** `10.1.5.1/24` of the device on whose link an address is. */
export function linkAddressText(devices: HostDevices, address: Ipv4): string {
  const found = linkAddressOf(devices, address);
  return found === undefined
    ? "no address"
    : `${formatIpv4(found.address)}/${found.prefixLength}`;
}

/** The peer in whose subnet an address lies. */
export function peerOf(
  peers: readonly PeerFacts[],
  address: Ipv4,
): PeerFacts | undefined {
  return peers.filter(({ subnet }) => contains(subnet, address))
    .toSorted((a, b) => b.subnet.prefixLength - a.subnet.prefixLength)[0];
}

/**
 * Which way a route leads.
 *
 * @param overlays names of the overlay's devices.
 * @returns `undefined` if there is no route or it names an unknown device.
 */
export function wayOf(
  route: RouteFacts | undefined,
  links: readonly Link[],
  overlays: readonly string[],
  peer: Pick<PeerFacts, "publicIp"> | undefined,
): Way | undefined {
  if (route?.kind !== "found") return undefined;
  const { answer } = route;
  if (answer.isLocal) return { kind: "here" };
  const link = linkOfRoute({ links }, route);
  if (link === undefined) return undefined;
  if (overlays.includes(link.name)) return { kind: "overlay", link };
  return throughOther(answer, link, peer);
}

function throughOther(
  { gateway }: RouteAnswer,
  link: Link,
  peer: Pick<PeerFacts, "publicIp"> | undefined,
): Way {
  if (gateway === undefined) return { kind: "link", link };
  return gateway === peer?.publicIp
    ? { kind: "direct", link, gateway }
    : { kind: "router", link, gateway };
}

/** Whether a machine was asked for its Ethernet address and has not answered so far. */
export function isSilent({ state }: NeighbourEntry): boolean {
  return state === "failed" || state === "incomplete";
}
