/**
 * The difference between what a kernel backend wants and what is there.
 *
 * Only what is Loden's is removed or replaced: routes with its protocol number,
 * routes that flannel left on the backend's device or towards its peers, and the
 * entries of its device.
 *
 * @module
 */

import type {
  ForwardingEntry,
  Neighbour,
  NewRoute,
  Route,
} from "../../linux/netlink/rtnetlink.ts";
import { type Cidr, isWithin } from "../../net/cidr.ts";
import { macKey } from "../../net/mac.ts";
import { RTPROT_BOOT } from "../../linux/netlink/route.ts";
import {
  type ActualState,
  type DesiredState,
  ROUTE_PROTOCOL,
} from "./kernel_state.ts";

/**
 * The changes, in the order of the fields: a packet that takes a route finds the
 * entries behind it.
 */
export interface Changes {
  readonly putNeighbours: readonly Neighbour[];
  readonly putForwarding: readonly ForwardingEntry[];
  readonly putRoutes: readonly NewRoute[];
  readonly removeRoutes: readonly NewRoute[];
  readonly removeNeighbours: readonly Neighbour[];
  readonly removeForwarding: readonly ForwardingEntry[];
  /** Routes that take the packets of a wanted one and are not Loden's. */
  readonly conflicts: readonly Route[];
}

/** The scope of the plan. */
export interface Ownership {
  /** The overlay's network. */
  readonly network: Cidr;
  /** The backend's device. */
  readonly deviceIndex: number | undefined;
}

/** A pure function of its arguments. */
export function planChanges(
  desired: DesiredState,
  actual: ActualState,
  ownership: Ownership,
): Changes {
  return {
    ...planRoutes(desired, actual.routes, ownership),
    ...planNeighbours(desired.neighbours, actual.neighbours),
    ...planForwarding(desired.forwarding, actual.forwarding),
  };
}

/**
 * The changes from what some peers needed to what they need now, without a look at
 * the kernel.
 *
 * @param entriesOf The forwarding entries that are wanted now for these hardware
 * addresses, which two peers may share.
 */
export function planDifference(
  before: DesiredState,
  after: DesiredState,
  entriesOf: (macs: ReadonlySet<number>) => readonly ForwardingEntry[],
): Omit<Changes, "conflicts"> {
  const formerRoutes = new Map(
    before.routes.map((route) => [routeKey(route), route]),
  );
  const keys = new Set(after.routes.map(routeKey));
  const macs = new Set(
    [...before.forwarding, ...after.forwarding].map(({ mac }) => macKey(mac)),
  );
  return {
    putRoutes: after.routes.filter((route) => {
      const former = formerRoutes.get(routeKey(route));
      return former === undefined || !isSameRequest(former, route);
    }),
    removeRoutes: before.routes.filter((route) => !keys.has(routeKey(route))),
    ...planNeighbours(after.neighbours, before.neighbours),
    ...planForwarding(entriesOf(macs), before.forwarding),
  };
}

function isSameRequest(a: NewRoute, b: NewRoute): boolean {
  return a.type === b.type && a.interfaceIndex === b.interfaceIndex &&
    a.gateway === b.gateway && a.mtuBytes === b.mtuBytes;
}

/** The number of changes in a plan. */
export function countChanges(changes: Omit<Changes, "conflicts">): number {
  return changes.removeRoutes.length + changes.removeNeighbours.length +
    changes.removeForwarding.length + changes.putNeighbours.length +
    changes.putForwarding.length + changes.putRoutes.length;
}

function planRoutes(
  { routes: desired, isOfOthers }: DesiredState,
  actual: readonly Route[],
  ownership: Ownership,
): Pick<Changes, "removeRoutes" | "putRoutes" | "conflicts"> {
  const wanted = new Map(desired.map((route) => [routeKey(route), route]));
  const toPeers = new Map(
    desired.filter(({ type = "unicast" }) => type === "unicast")
      .map((route) => [cidrKey(route.destination), route]),
  );
  const inPlace = new Set<string>();
  const removeRoutes: NewRoute[] = [];
  const conflicts: Route[] = [];
  for (const route of actual) {
    const key = routeKey(route);
    const wish = wanted.get(key);
    // Of the same subnet, whatever the metric.
    const toPeer = toPeers.get(cidrKey(route.destination));
    if (isOurs(route, wish ?? toPeer, ownership)) {
      if (wish === undefined) {
        if (!isOfOthers?.(key)) removeRoutes.push(asRequest(route));
      } else if (isAsWanted(route, wish)) {
        inPlace.add(key);
      }
    } else if (wish !== undefined) {
      conflicts.push(route);
      inPlace.add(key);
    } else if (toPeer !== undefined && route.metric < (toPeer.metric ?? 0)) {
      conflicts.push(route);
    }
  }
  return {
    removeRoutes,
    putRoutes: desired.filter((route) => !inPlace.has(routeKey(route))),
    conflicts,
  };
}

/** The kernel keeps one route per destination and metric. */
export function routeKey(
  { destination, metric }: Pick<NewRoute, "destination" | "metric">,
): string {
  return `${cidrKey(destination)} ${metric ?? 0}`;
}

function cidrKey({ address, prefixLength }: Cidr): number {
  return address * 64 + prefixLength;
}

/**
 * flannel's routes have the protocol of `ip route`. They are known by the device,
 * or, where the underlay's device carries them, by the gateway and the device that
 * Loden wants for the same subnet.
 */
function isOurs(
  route: Route,
  wish: NewRoute | undefined,
  { deviceIndex, network }: Ownership,
): boolean {
  if (!isWithin(route.destination, network)) return false;
  if (route.protocol === ROUTE_PROTOCOL) return true;
  if (route.protocol !== RTPROT_BOOT) return false;
  return route.type === "unicast"
    ? route.interfaceIndex === deviceIndex ||
      // The udp backend's routes have the same gateways, on its device.
      (wish?.gateway !== undefined && wish.gateway === route.gateway &&
        wish.interfaceIndex === route.interfaceIndex)
    // The route behind the device's, which every backend puts alike.
    : route.type === wish?.type;
}

function isAsWanted(route: Route, wish: NewRoute): boolean {
  return route.protocol === wish.protocol &&
    route.type === (wish.type ?? "unicast") &&
    route.interfaceIndex === wish.interfaceIndex &&
    route.gateway === wish.gateway &&
    route.mtuBytes === wish.mtuBytes && !route.multipath;
}

function asRequest(route: Route): NewRoute {
  return {
    destination: route.destination,
    type: route.type === "unicast" ? "unicast" : "unreachable",
    metric: route.metric,
    ...route.interfaceIndex === undefined
      ? {}
      : { interfaceIndex: route.interfaceIndex },
    ...route.gateway === undefined ? {} : { gateway: route.gateway },
  };
}

function planNeighbours(
  desired: readonly Neighbour[],
  actual: readonly Neighbour[],
): Pick<Changes, "removeNeighbours" | "putNeighbours"> {
  const present = new Map(actual.map((entry) => [entry.address, entry]));
  const wanted = new Set(desired.map(({ address }) => address));
  return {
    removeNeighbours: actual.filter(({ address }) => !wanted.has(address)),
    putNeighbours: desired.filter(({ address, mac }) => {
      const entry = present.get(address);
      return entry === undefined || macKey(entry.mac) !== macKey(mac);
    }),
  };
}

/** Two peers may temporarily share a hardware address; the entry then stays. */
function planForwarding(
  desired: readonly ForwardingEntry[],
  actual: readonly ForwardingEntry[],
): Pick<Changes, "removeForwarding" | "putForwarding"> {
  const present = new Map(
    actual.map(({ mac, remote }) => [macKey(mac), remote]),
  );
  const wanted = new Map(
    desired.map((entry) => [macKey(entry.mac), entry]),
  );
  return {
    removeForwarding: actual.filter(({ mac }) => !wanted.has(macKey(mac))),
    putForwarding: [...wanted].filter(([mac, { remote }]) =>
      present.get(mac) !== remote
    ).map(([, entry]) => entry),
  };
}
