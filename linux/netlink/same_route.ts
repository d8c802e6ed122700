/**
 * Compares a route in the table with a route to be removed.
 *
 * @module
 */

import { equalCidr } from "../../net/cidr.ts";
import { MAIN_TABLE } from "./route.ts";
import type { NewRoute, Route } from "./rtnetlink.ts";

/**
 * Whether `route` is `wanted`: destination, metric and type are the identity in
 * the main table; of the rest only what `wanted` names is compared.
 */
export function isSameRoute(route: Route, wanted: NewRoute): boolean {
  const matches = <T>(value: T, wish: T | undefined) =>
    wish === undefined || wish === value;
  return route.table === MAIN_TABLE &&
    equalCidr(route.destination, wanted.destination) &&
    route.metric === (wanted.metric ?? 0) &&
    route.type === (wanted.type ?? "unicast") &&
    matches(route.interfaceIndex, wanted.interfaceIndex) &&
    matches(route.gateway, wanted.gateway) &&
    matches(route.preferredSource, wanted.preferredSource) &&
    matches(route.scope, wanted.scope) &&
    matches(route.mtuBytes, wanted.mtuBytes);
}
