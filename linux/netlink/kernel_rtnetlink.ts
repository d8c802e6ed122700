/**
 * The kernel's routing tables, addresses and links.
 *
 * @module
 */

import { formatCidr } from "../../net/cidr.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";
import { architecture } from "../arch.ts";
import { ERRNO } from "../errno.ts";
import {
  addAddressRequest,
  type AddressWithPrefix,
  deleteAddressRequest,
  listAddressesRequest,
  parseAddress,
} from "./address.ts";
import { REQUEST_FLAG } from "./codec.ts";
import { NetlinkError } from "./errors.ts";
import {
  listLinksRequest,
  parseLink,
  removeLinkRequest,
  setLinkRequest,
} from "./link.ts";
import { NetlinkClient } from "./netlink_client.ts";
import { NetlinkSocket } from "./netlink_socket.ts";
import type { NetlinkRequest } from "./request.ts";
import {
  deleteRouteRequest,
  listRoutesRequest,
  parseRoute,
  parseRouteAnswer,
  putRouteRequest,
  routeToRequest,
} from "./route.ts";
import { isSameRoute } from "./same_route.ts";
import type {
  Link,
  LinkAddress,
  LinkChange,
  NewRoute,
  Route,
  RouteAnswer,
  Rtnetlink,
} from "./rtnetlink.ts";

/**
 * One netlink socket, in the network namespace of the thread that made it.
 *
 * @example
 * ```ts
 * import { KernelRtnetlink } from "./kernel_rtnetlink.ts";
 * using rtnetlink = new KernelRtnetlink();
 * for (const link of rtnetlink.links()) console.log(link.name, link.mtuBytes);
 * ```
 */
export class KernelRtnetlink implements Rtnetlink {
  readonly #client: NetlinkClient;

  /**
   * Throws {@linkcode SystemCallError} when there can be no socket, and
   * {@linkcode UnsupportedArchitectureError} where the layouts are unknown.
   */
  constructor() {
    architecture();
    this.#client = new NetlinkClient(new NetlinkSocket());
  }

  links(): Link[] {
    return this.#client.list("list the network interfaces", listLinksRequest())
      .map(parseLink);
  }

  addresses(): LinkAddress[] {
    return this.#client.list("list the IPv4 addresses", listAddressesRequest())
      .map(parseAddress);
  }

  routes(): Route[] {
    return this.#client.list("list the IPv4 routes", listRoutesRequest())
      .map(parseRoute);
  }

  routeTo(destination: Ipv4): RouteAnswer {
    const what = `find the route to ${formatIpv4(destination)}`;
    const [answer] = this.#client.request(what, routeToRequest(destination));
    if (answer === undefined) {
      throw new NetlinkError(what, ERRNO.ENETUNREACH, {
        detail: "it named no route",
      });
    }
    return parseRouteAnswer(answer);
  }

  changeLink(interfaceIndex: number, change: LinkChange): void {
    this.#client.request(
      `change interface ${interfaceIndex} (${describeChange(change)})`,
      setLinkRequest(interfaceIndex, change),
    );
  }

  deleteLink(interfaceIndex: number): boolean {
    return this.#unless(
      [ERRNO.ENODEV],
      `delete interface ${interfaceIndex}`,
      removeLinkRequest(interfaceIndex),
    );
  }

  ensureAddress(interfaceIndex: number, address: AddressWithPrefix): boolean {
    return this.#unless(
      [ERRNO.EEXIST],
      `add ${describeAddress(address)} to interface ${interfaceIndex}`,
      addAddressRequest(
        interfaceIndex,
        address,
        REQUEST_FLAG.CREATE | REQUEST_FLAG.EXCLUSIVE,
      ),
    );
  }

  removeAddress(interfaceIndex: number, address: AddressWithPrefix): boolean {
    return this.#unless(
      [ERRNO.EADDRNOTAVAIL, ERRNO.ENODEV],
      `remove ${describeAddress(address)} from interface ${interfaceIndex}`,
      deleteAddressRequest(interfaceIndex, address),
    );
  }

  replaceRoute(route: NewRoute): void {
    this.#client.request(
      `put the ${describeRoute(route)}`,
      putRouteRequest(route),
    );
  }

  removeRoute(route: NewRoute): boolean {
    // The kernel takes metric 0 for "any" and would remove another route.
    if (
      !route.metric && !this.routes().some((other) => isSameRoute(other, route))
    ) {
      return false;
    }
    return this.#unless(
      [ERRNO.ESRCH],
      `remove the ${describeRoute(route)}`,
      deleteRouteRequest(route),
    );
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  /** Makes a change; `false` when the kernel says one of `harmless`. */
  #unless(
    harmless: readonly number[],
    what: string,
    request: NetlinkRequest,
  ): boolean {
    try {
      this.#client.request(what, request);
      return true;
    } catch (error) {
      if (error instanceof NetlinkError && harmless.includes(error.errno)) {
        return false;
      }
      throw error;
    }
  }
}

function describeAddress({ address, prefixLength }: AddressWithPrefix): string {
  return `${formatIpv4(address)}/${prefixLength}`;
}

function describeRoute(route: NewRoute): string {
  const words = [`${route.type ?? "unicast"} route`];
  words.push(formatCidr(route.destination));
  if (route.gateway !== undefined) words.push("via", formatIpv4(route.gateway));
  if (route.interfaceIndex !== undefined) {
    words.push(`through interface ${route.interfaceIndex}`);
  }
  if (route.metric !== undefined) words.push(`metric ${route.metric}`);
  return words.join(" ");
}

function describeChange(change: LinkChange): string {
  const words: string[] = [];
  if (change.up !== undefined) words.push(change.up ? "up" : "down");
  if (change.mtuBytes !== undefined) words.push(`MTU ${change.mtuBytes}`);
  if (change.alias !== undefined) words.push(`alias ${change.alias}`);
  if (change.txQueueLength !== undefined) {
    words.push(`transmit queue length ${change.txQueueLength}`);
  }
  return words.join(", ");
}
