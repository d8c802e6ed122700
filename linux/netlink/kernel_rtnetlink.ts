/**
 * The kernel's routing tables, addresses and links.
 *
 * @module
 */

import { formatCidr } from "../../net/cidr.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";
import { formatMac } from "../../net/mac.ts";
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
  newLinkRequest,
  newVethPairRequest,
  noIpv6AddressRequest,
  parseLink,
  removeLinkRequest,
  setLinkRequest,
} from "./link.ts";
import { NetlinkClient, type Refusal } from "./netlink_client.ts";
import { NetlinkSocket } from "./netlink_socket.ts";
import type { NetlinkRequest } from "./request.ts";
import {
  deleteRouteRequest,
  FIB_MATCH,
  isSameRoute,
  listRoutesRequest,
  parseRoute,
  parseRouteAnswer,
  putRouteRequest,
  routeToRequest,
} from "./route.ts";
import {
  deleteForwardingRequest,
  deleteNeighbourRequest,
  listForwardingRequest,
  listNeighboursRequest,
  parseForwarding,
  parseNeighbour,
  parseNeighbourEntry,
  putForwardingRequest,
  putNeighbourRequest,
} from "./neighbour.ts";
import { newIpipRequest, parseIpip } from "./ipip.ts";
import { newVxlanRequest, parseVxlan } from "./vxlan.ts";
import type {
  ForwardingEntry,
  IpipSettings,
  Link,
  LinkAddress,
  LinkChange,
  Neighbour,
  NeighbourEntry,
  NewIpip,
  NewRoute,
  NewVethPair,
  NewVxlan,
  Route,
  RouteAnswer,
  RouteQuery,
  Rtnetlink,
  VethPair,
  VxlanSettings,
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
  readonly #socket = new NetlinkSocket();
  readonly #client: NetlinkClient;

  /** Throws {@linkcode SystemCallError} when there can be no socket. */
  constructor() {
    this.#client = new NetlinkClient(this.#socket);
  }

  /**
   * The port id in notifications about its own changes, for now: after an error
   * there may be a new socket with another id.
   */
  get portId(): number {
    return this.#socket.portId;
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

  routeTo(destination: Ipv4, query: RouteQuery = {}): RouteAnswer {
    const what = `find the route to ${formatIpv4(destination)}`;
    const [answer] = this.#client.request(
      what,
      routeToRequest(destination, query),
    );
    if (answer === undefined) {
      throw new NetlinkError(what, ERRNO.ENETUNREACH, {
        detail: "it named no route",
      });
    }
    return parseRouteAnswer(answer);
  }

  nextHops(destination: Ipv4): readonly number[] {
    const what = `find the next hops to ${formatIpv4(destination)}`;
    const [answer] = this.#client.request(
      what,
      routeToRequest(destination, {}, FIB_MATCH),
    );
    const route = answer && parseRoute(answer);
    return route?.nextHopDevices ??
      (route?.interfaceIndex === undefined ? [] : [route.interfaceIndex]);
  }

  changeLink(interfaceIndex: number, change: LinkChange): void {
    this.#client.request(
      `change interface ${interfaceIndex} (${describeChange(change)})`,
      setLinkRequest(interfaceIndex, change),
    );
  }

  createVethPair(pair: NewVethPair): VethPair {
    const before = new Set(this.links().map(({ index }) => index));
    this.#client.request(
      `create the veth pair ${pair.name} and ${pair.peerName}`,
      newVethPairRequest(pair),
    );
    const link = this.links().find((candidate) =>
      !before.has(candidate.index) && isFirstEnd(candidate, pair)
    );
    if (link?.peerIndex === undefined) {
      throw new NetlinkError(`find the new veth ${pair.name}`, ERRNO.ENODEV, {
        hint: "another program deleted, renamed or moved it at once",
      });
    }
    try {
      for (const index of [link.index, link.peerIndex]) {
        // A host without IPv6, or an MTU below 1,280 bytes: nothing to switch off.
        this.#unless(
          [ERRNO.EAFNOSUPPORT],
          `disable IPv6 addresses on interface ${index}`,
          noIpv6AddressRequest(index),
        );
        if (pair.alias !== undefined) {
          this.changeLink(index, { alias: pair.alias });
        }
      }
      return {
        link: this.#existing(link.index),
        peer: this.#existing(link.peerIndex),
      };
    } catch (error) {
      this.deleteLink(link.index);
      throw error;
    }
  }

  createVxlan(vxlan: NewVxlan): Link {
    return this.#createQuiet(
      `create the VXLAN device ${vxlan.name}`,
      vxlan.name,
      newVxlanRequest(vxlan),
    );
  }

  createWireguard(
    { name, mtuBytes }: { readonly name: string; readonly mtuBytes: number },
  ): Link {
    return this.#createQuiet(
      `create the WireGuard device ${name}`,
      name,
      newLinkRequest("wireguard", name, mtuBytes),
    );
  }

  vxlanSettings(interfaceIndex: number): VxlanSettings | undefined {
    const payload = this.#client
      .list("list the network interfaces", listLinksRequest())
      .find((each) => parseLink(each).index === interfaceIndex);
    return payload && parseVxlan(payload);
  }

  createIpip(ipip: NewIpip): Link {
    this.#client.request(
      `create the ipip device ${ipip.name}`,
      newIpipRequest(ipip),
    );
    return this.#created(ipip.name);
  }

  ipipSettings(interfaceIndex: number): IpipSettings | undefined {
    const payload = this.#client
      .list("list the network interfaces", listLinksRequest())
      .find((each) => parseLink(each).index === interfaceIndex);
    return payload && parseIpip(payload);
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
      `set the ${describeRoute(route)}`,
      putRouteRequest(route),
    );
  }

  replaceRoutes(routes: readonly NewRoute[]): void {
    this.#throwFirst(
      this.#client.requestMany("put routes", routes.map(putRouteRequest)),
      (index) => `set the ${describeRoute(routes[index]!)}`,
    );
  }

  removeRoute(route: NewRoute): boolean {
    return this.removeRoutes([route]) > 0;
  }

  removeRoutes(routes: readonly NewRoute[]): number {
    const wanted = this.#presentOrNumbered(routes);
    const refusals = this.#client.requestMany(
      "remove routes",
      wanted.map(deleteRouteRequest),
    );
    this.#throwFirst(
      refusals.filter(({ errno }) => errno !== ERRNO.ESRCH),
      (index) => `remove the ${describeRoute(wanted[index]!)}`,
    );
    return wanted.length - refusals.length;
  }

  neighbours(interfaceIndex: number): Neighbour[] {
    return this.#client.list(
      `list the neighbours of interface ${interfaceIndex}`,
      listNeighboursRequest(interfaceIndex),
    ).map(parseNeighbour).filter((entry) =>
      entry?.interfaceIndex === interfaceIndex
    ) as Neighbour[];
  }

  neighbourEntries(interfaceIndex: number): NeighbourEntry[] {
    return this.#client.list(
      `list the neighbours of interface ${interfaceIndex}`,
      listNeighboursRequest(interfaceIndex),
    ).map((payload) => parseNeighbourEntry(payload, interfaceIndex))
      .filter((entry) => entry !== undefined);
  }

  replaceNeighbours(neighbours: readonly Neighbour[]): void {
    this.#throwFirst(
      this.#client.requestMany(
        "put neighbours",
        neighbours.map(putNeighbourRequest),
      ),
      (index) => `put the neighbour ${describeNeighbour(neighbours[index]!)}`,
    );
  }

  removeNeighbours(neighbours: readonly Neighbour[]): number {
    return this.#removeMany(
      "remove neighbours",
      neighbours.map(deleteNeighbourRequest),
      (index) =>
        `remove the neighbour ${describeNeighbour(neighbours[index]!)}`,
    );
  }

  forwardingEntries(interfaceIndex: number): ForwardingEntry[] {
    return this.#client.list(
      `list the forwarding database of interface ${interfaceIndex}`,
      listForwardingRequest(interfaceIndex),
    ).map(parseForwarding).filter((entry) =>
      entry?.interfaceIndex === interfaceIndex
    ) as ForwardingEntry[];
  }

  replaceForwardingEntries(entries: readonly ForwardingEntry[]): void {
    this.#throwFirst(
      this.#client.requestMany(
        "put forwarding entries",
        entries.map(putForwardingRequest),
      ),
      (index) => `put the forwarding entry ${describeEntry(entries[index]!)}`,
    );
  }

  removeForwardingEntries(entries: readonly ForwardingEntry[]): number {
    return this.#removeMany(
      "remove forwarding entries",
      entries.map(deleteForwardingRequest),
      (index) =>
        `remove the forwarding entry ${describeEntry(entries[index]!)}`,
    );
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  /** A device that never gives itself an IPv6 address. */
  #createQuiet(what: string, name: string, request: NetlinkRequest): Link {
    this.#client.request(what, request);
    const link = this.#created(name);
    // A host without IPv6, or an MTU below 1,280 bytes: nothing to switch off.
    this.#unless(
      [ERRNO.EAFNOSUPPORT],
      `keep ${name} without IPv6 addresses`,
      noIpv6AddressRequest(link.index),
    );
    return link;
  }

  /** "Not there" and "no such device" are no refusals here; counts the others. */
  #removeMany(
    what: string,
    requests: readonly NetlinkRequest[],
    describe: (index: number) => string,
  ): number {
    const refusals = this.#client.requestMany(what, requests);
    this.#throwFirst(
      refusals.filter(({ errno }) =>
        errno !== ERRNO.ENOENT && errno !== ERRNO.ENODEV
      ),
      describe,
    );
    return requests.length - refusals.length;
  }

  /**
   * Without the routes of metric 0 that are not there: the kernel takes 0 for "any
   * metric" and would remove another route.
   */
  #presentOrNumbered(routes: readonly NewRoute[]): NewRoute[] {
    if (routes.every(({ metric }) => metric)) return [...routes];
    const present = Map.groupBy(
      this.routes(),
      ({ destination }) => destination.address,
    );
    return routes.filter((route) =>
      route.metric ||
      present.get(route.destination.address)?.some((other) =>
        isSameRoute(other, route)
      )
    );
  }

  #throwFirst(
    refusals: readonly Refusal[],
    what: (index: number) => string,
  ): void {
    const [first] = refusals;
    if (first === undefined) return;
    const more = refusals.length - 1;
    throw new NetlinkError(what(first.index), first.errno, {
      detail: [first.detail, more > 0 ? `${more} more were refused` : undefined]
        .filter((part) => part !== undefined).join("; "),
    });
  }

  #created(name: string): Link {
    const link = this.links().find((each) => each.name === name);
    if (link !== undefined) return link;
    throw new NetlinkError(`find the new ${name}`, ERRNO.ENODEV, {
      hint: "another program deleted, renamed or moved it at once",
    });
  }

  #existing(interfaceIndex: number): Link {
    const link = this.links().find(({ index }) => index === interfaceIndex);
    if (link !== undefined) return link;
    throw new NetlinkError(`read interface ${interfaceIndex}`, ERRNO.ENODEV);
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

/** The name may be a pattern; a MAC distinguishes the two ends even then. */
function isFirstEnd(link: Link, { name, mac }: NewVethPair): boolean {
  return link.kind === "veth" &&
    (name.includes("%") || link.name === name) &&
    formatMac(link.mac) === formatMac(mac);
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
  if (route.mtuBytes !== undefined) words.push(`MTU ${route.mtuBytes}`);
  return words.join(" ");
}

function describeNeighbour(
  { address, interfaceIndex, mac }: Neighbour,
): string {
  return `${formatIpv4(address)} at ${
    formatMac(mac)
  } of interface ${interfaceIndex}`;
}

function describeEntry(
  { interfaceIndex, mac, remote }: ForwardingEntry,
): string {
  return `${formatMac(mac)} to ${
    formatIpv4(remote)
  } of interface ${interfaceIndex}`;
}

function describeChange(change: LinkChange): string {
  const words: string[] = [];
  if (change.up !== undefined) words.push(change.up ? "up" : "down");
  if (change.mtuBytes !== undefined) words.push(`MTU ${change.mtuBytes}`);
  if (change.alias !== undefined) words.push(`alias ${change.alias}`);
  if (change.name !== undefined) words.push(`name ${change.name}`);
  if (change.arp !== undefined) words.push(change.arp ? "ARP" : "no ARP");
  if (change.mac !== undefined) words.push(`MAC ${formatMac(change.mac)}`);
  if (change.gsoMaxBytes !== undefined) {
    words.push(`GSO up to ${change.gsoMaxBytes} bytes`);
  }
  return words.join(", ");
}
