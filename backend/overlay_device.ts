/**
 * The overlay device's address, MTU and routes.
 *
 * @module
 */

import type { Link, Route, Rtnetlink } from "../linux/netlink/rtnetlink.ts";
import { MAIN_TABLE } from "../linux/netlink/route.ts";
import { type Cidr, contains, equalCidr } from "../net/cidr.ts";
import type { OverlayMtu } from "../net/mtu.ts";
import { BackendFailedError } from "./errors.ts";

/**
 * Metric of the safety route: high, so that it is used only without the
 * device's route.
 */
export const UNREACHABLE_METRIC = 4_278_198_272;

/** The device as it should be. */
export interface OverlayDevice {
  readonly name: string;
  /** What marks the device as ours. */
  readonly alias: string;
  readonly network: Cidr;
  readonly subnet: Cidr;
  readonly mtuBytes: OverlayMtu;
  /**
   * Whether one route sends the whole network to the device. Otherwise the data
   * path sets one route per peer.
   */
  readonly networkRoute: boolean;
}

/** The kinds of devices that data paths make. */
export type OverlayKind = "tun" | "veth";

/** The device of that kind with this alias; of a veth pair, either end. */
export function findOwnedDevice(
  rtnetlink: Rtnetlink,
  alias: string,
  kind: OverlayKind,
): Link | undefined {
  return rtnetlink.links()
    .find((link) => link.alias === alias && link.kind === kind);
}

/**
 * Configures the device like flannel's (compat 7.1: the subnet's .0/32, a
 * route) and removes what an earlier lease or network left.
 *
 * Behind the device's route there is an `unreachable` one. Without it, packets
 * for the overlay would leave by the default route once the device is gone, and
 * conntrack would keep their wrong masquerade.
 */
export function configureOverlayDevice(
  rtnetlink: Rtnetlink,
  device: OverlayDevice,
): void {
  const link = findLink(rtnetlink, device.name);
  const address = { address: device.subnet.address, prefixLength: 32 };
  // First, because the kernel removes the device's routes together with its
  // last address, and they show which network it was created for.
  removeFormerRoutes(rtnetlink, link, device);
  rtnetlink.changeLink(link.index, {
    alias: device.alias,
    mtuBytes: device.mtuBytes,
  });
  for (const other of rtnetlink.addresses()) {
    if (
      other.interfaceIndex === link.index &&
      (other.address !== address.address || other.prefixLength !== 32)
    ) {
      rtnetlink.removeAddress(link.index, other);
    }
  }
  rtnetlink.ensureAddress(link.index, address);
  rtnetlink.changeLink(link.index, { up: true });
  rtnetlink.replaceRoute({
    destination: device.network,
    type: "unreachable",
    metric: UNREACHABLE_METRIC,
  });
  if (!device.networkRoute) return;
  rtnetlink.replaceRoute({
    destination: device.network,
    interfaceIndex: link.index,
    scope: "global",
  });
}

/**
 * Whether the device is still as {@linkcode configureOverlayDevice} left it. A
 * missing device counts as configured, because nothing here can restore it: a
 * TUN's worker then ends, and the data path creates a veth pair again.
 *
 * @param routes All routes; `undefined` if they are known to be right.
 */
export function isOverlayDeviceRight(
  rtnetlink: Rtnetlink,
  device: OverlayDevice,
  routes: readonly Route[] | undefined,
): boolean {
  const link = rtnetlink.links().find(({ name }) => name === device.name);
  if (link === undefined) return true;
  return link.up && link.mtuBytes === device.mtuBytes &&
    rtnetlink.addresses().some((address) =>
      address.interfaceIndex === link.index &&
      address.address === device.subnet.address
    ) &&
    (routes === undefined || hasRoutes(routes, link, device));
}

function hasRoutes(
  all: readonly Route[],
  link: Link,
  { network, networkRoute }: OverlayDevice,
): boolean {
  const routes = all.filter((route) =>
    route.table === MAIN_TABLE && equalCidr(route.destination, network)
  );
  return (!networkRoute ||
    routes.some((route) => route.interfaceIndex === link.index)) &&
    routes.some((route) => route.type === "unreachable");
}

function findLink(rtnetlink: Rtnetlink, name: string): Link {
  const link = rtnetlink.links().find((candidate) => candidate.name === name);
  if (link === undefined) {
    throw new BackendFailedError(
      name,
      "another program has deleted the device",
    );
  }
  return link;
}

/** The routes of a network that the overlay no longer is. */
function removeFormerRoutes(
  rtnetlink: Rtnetlink,
  link: Link,
  { network, networkRoute }: OverlayDevice,
): void {
  const isRight = networkRoute
    ? (destination: Cidr) => equalCidr(destination, network)
    : (destination: Cidr) => contains(network, destination.address);
  for (const route of rtnetlink.routes()) {
    if (
      route.interfaceIndex === link.index && route.table === MAIN_TABLE &&
      route.type === "unicast" && !isRight(route.destination)
    ) {
      rtnetlink.removeRoute({
        destination: route.destination,
        interfaceIndex: link.index,
        metric: route.metric,
      });
      rtnetlink.removeRoute({
        destination: route.destination,
        type: "unreachable",
        metric: UNREACHABLE_METRIC,
      });
    }
  }
}
