/**
 * What a kernel backend programs for its peers: routes, neighbours and forwarding
 * entries, as they should be and as they are.
 *
 * @module
 */

import type {
  ForwardingEntry,
  Neighbour,
  NewRoute,
  Route,
  Rtnetlink,
} from "../../linux/netlink/rtnetlink.ts";
import { MAIN_TABLE } from "../../linux/netlink/route.ts";

/**
 * rtm_protocol of the routes that Loden installs: `proto 76` in `ip route`. Not
 * taken by any program in `linux/rtnetlink.h` or iproute2's `rt_protos`.
 */
export const ROUTE_PROTOCOL = 76;

/** What a backend wants. Every route has {@linkcode ROUTE_PROTOCOL}. */
export interface DesiredState {
  readonly routes: readonly NewRoute[];
  /** Whether another backend of this host wants a route, by `routeKey`. */
  readonly isOfOthers?: ((key: string) => boolean) | undefined;
  /** All of one device, which is the backend's alone. */
  readonly neighbours: readonly Neighbour[];
  readonly forwarding: readonly ForwardingEntry[];
}

/** The actual state. */
export interface ActualState {
  /** Of the main table. */
  readonly routes: readonly Route[];
  readonly neighbours: readonly Neighbour[];
  readonly forwarding: readonly ForwardingEntry[];
}

/**
 * Reads what is there now.
 *
 * @param routes All routes of all tables.
 * @param deviceIndex The backend's own device.
 */
export function readActualState(
  rtnetlink: Rtnetlink,
  routes: readonly Route[],
  deviceIndex: number | undefined,
): ActualState {
  return {
    routes: routes.filter(({ table }) => table === MAIN_TABLE),
    neighbours: deviceIndex === undefined
      ? []
      : rtnetlink.neighbours(deviceIndex),
    forwarding: deviceIndex === undefined
      ? []
      : rtnetlink.forwardingEntries(deviceIndex),
  };
}
