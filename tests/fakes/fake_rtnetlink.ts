/**
 * A network namespace in memory: links, addresses and routes that follow one
 * another as in the kernel, as far as `tests/contract/rtnetlink_contract.ts`
 * asks.
 *
 * @module
 */

import { ERRNO } from "../../linux/errno.ts";
import { NetlinkError } from "../../linux/netlink/errors.ts";
import {
  isSameRoute,
  LOCAL_TABLE,
  MAIN_TABLE,
} from "../../linux/netlink/route.ts";
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
} from "../../linux/netlink/rtnetlink.ts";
import {
  cidrOf,
  contains,
  equalCidr,
  parseAddressWithPrefix,
} from "../../net/cidr.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";
import { formatMac } from "../../net/mac.ts";

/** RTPROT_KERNEL: routes that come with an address. */
const KERNEL_PROTOCOL = 2;
/** RTPROT_BOOT. */
const BOOT_PROTOCOL = 3;
const LARGEST_MTU = 65535;
/** Ethernet, IPv4, UDP and VXLAN header. */
const VXLAN_BYTES = 50;
const LOOPBACK_INDEX = 1;

/** Starts with `lo`, up, with 127.0.0.1/8. Nothing waits; `close` does nothing. */
export class FakeRtnetlink implements Rtnetlink {
  #links: Link[] = [];
  #addresses: LinkAddress[] = [];
  #routes: Route[] = [];
  #neighbours: Neighbour[] = [];
  #forwarding: ForwardingEntry[] = [];
  readonly #vxlans = new Map<number, VxlanSettings>();
  readonly #ipips = new Map<number, IpipSettings>();
  #nextIndex = LOOPBACK_INDEX;
  /** Called before a device goes up; what it throws keeps the device down. */
  onUp: ((interfaceIndex: number) => void) | undefined;
  /** Whether the kernel has WireGuard. */
  hasWireguard = true;

  constructor() {
    const lo = this.addLink({
      name: "lo",
      mtuBytes: 65536,
      loopback: true,
      up: true,
      mac: new Uint8Array(6),
    });
    this.addAddress(lo.index, "127.0.0.1/8", { scope: "host" });
  }

  /** Plugs in a device: down, MTU 1500 and an Ethernet address unless told. */
  addLink(link: Partial<Link> & { readonly name: string }): Link {
    const index = link.index ?? this.#nextIndex;
    this.#nextIndex = Math.max(this.#nextIndex, index) + 1;
    const added: Link = {
      index,
      mtuBytes: 1500,
      up: false,
      carrier: link.up ?? false,
      operUp: link.up ?? false,
      loopback: false,
      noArp: false,
      mac: Uint8Array.of(2, 0, 0, 0, index >>> 8, index & 255),
      kind: "",
      peerIndex: undefined,
      gsoMaxBytes: 65536,
      alias: "",
      rxDropped: 0,
      txDropped: 0,
      ...link,
    };
    this.#links.push(added);
    return added;
  }

  /**
   * Gives a device an address, such as `192.168.1.5/24`, as DHCP or an
   * administrator would; `overrides` for what cannot be said by `ensureAddress`.
   */
  addAddress(
    interfaceIndex: number,
    text: string,
    overrides: Partial<LinkAddress> = {},
  ): LinkAddress {
    const parsed = parseAddressWithPrefix(text);
    if (parsed === undefined) throw new TypeError(`not an address: ${text}`);
    const network = cidrOf(parsed.address, parsed.prefixLength);
    const added: LinkAddress = {
      interfaceIndex,
      ...parsed,
      scope: "global",
      permanent: true,
      deprecated: false,
      secondary: this.#addresses.some((other) =>
        other.interfaceIndex === interfaceIndex &&
        equalCidr(cidrOf(other.address, other.prefixLength), network)
      ),
      ...overrides,
    };
    this.#addresses.push(added);
    this.#addLocalRoute(added);
    this.#addConnectedRoute(added);
    return added;
  }

  /** Puts any route into any table, also such as `replaceRoute` cannot make. */
  addRoute(route: Partial<Route> & Pick<Route, "destination">): void {
    this.#routes.push({
      type: "unicast",
      table: MAIN_TABLE,
      interfaceIndex: undefined,
      gateway: undefined,
      preferredSource: undefined,
      metric: 0,
      scope: "global",
      protocol: BOOT_PROTOCOL,
      mtuBytes: undefined,
      multipath: false,
      ...route,
    });
  }

  links(): Link[] {
    return [...this.#links];
  }

  addresses(): LinkAddress[] {
    return [...this.#addresses];
  }

  routes(): Route[] {
    return this.#routes.toSorted((a, b) =>
      a.table - b.table ||
      a.destination.address - b.destination.address ||
      b.destination.prefixLength - a.destination.prefixLength ||
      a.metric - b.metric
    );
  }

  /** Of the route that {@linkcode FakeRtnetlink.routeTo} takes. */
  nextHops(destination: Ipv4): readonly number[] {
    const { interfaceIndex } = this.routeTo(destination);
    const route = this.#routes.find((each) =>
      each.multipath && contains(each.destination, destination) &&
      each.nextHopDevices?.includes(interfaceIndex)
    );
    return route?.nextHopDevices ?? [interfaceIndex];
  }

  /** Has no rules, so a mark changes nothing. */
  routeTo(
    destination: Ipv4,
    { interfaceIndex: device }: RouteQuery = {},
  ): RouteAnswer {
    const what = "find the route";
    const best = this.#routes
      .filter((route) => contains(route.destination, destination))
      .filter((route) =>
        device === undefined || route.interfaceIndex === device
      )
      .filter(({ table }) => table === MAIN_TABLE || table === LOCAL_TABLE)
      .toSorted((a, b) =>
        b.table - a.table ||
        b.destination.prefixLength - a.destination.prefixLength ||
        a.metric - b.metric
      )[0];
    switch (best?.type) {
      case undefined:
        throw new NetlinkError(what, ERRNO.ENETUNREACH);
      case "unreachable":
        throw new NetlinkError(what, ERRNO.EHOSTUNREACH);
      case "blackhole":
        throw new NetlinkError(what, ERRNO.EINVAL);
      case "local":
        return {
          isLocal: true,
          interfaceIndex: LOOPBACK_INDEX,
          gateway: undefined,
          source: destination,
          mtuBytes: undefined,
        };
    }
    const interfaceIndex = best!.interfaceIndex ?? 0;
    return {
      interfaceIndex,
      gateway: best!.gateway,
      source: best!.preferredSource ??
        this.#sourceFor(interfaceIndex, best!.gateway ?? destination),
      mtuBytes: best!.mtuBytes,
    };
  }

  changeLink(interfaceIndex: number, change: LinkChange): void {
    const what = `change interface ${interfaceIndex}`;
    const link = this.#existing(interfaceIndex, what);
    if (change.mtuBytes !== undefined && change.mtuBytes > LARGEST_MTU) {
      throw new NetlinkError(what, ERRNO.EINVAL);
    }
    if (change.name !== undefined) this.#requireFree(change.name, what);
    if (change.up === true && !link.up) this.onUp?.(interfaceIndex);
    this.#links[this.#links.indexOf(link)] = {
      ...link,
      name: change.name ?? link.name,
      up: change.up ?? link.up,
      noArp: change.arp === undefined ? link.noArp : !change.arp,
      mtuBytes: change.mtuBytes ?? link.mtuBytes,
      gsoMaxBytes: change.gsoMaxBytes ?? link.gsoMaxBytes,
      alias: change.alias ?? link.alias,
      mac: change.mac ?? link.mac,
    };
    if (change.mac !== undefined || change.up === false) {
      // `neigh_changeaddr` and `neigh_ifdown` in net/core/neighbour.c.
      this.#neighbours = this.#neighbours.filter((neighbour) =>
        neighbour.interfaceIndex !== interfaceIndex
      );
    }
    this.#links = this.#links.map((one, _, all) => {
      const peer = all.find(({ index }) => index === one.peerIndex);
      const carrier = one.up && (peer?.up ?? true);
      return { ...one, carrier, operUp: carrier };
    });
    if (change.up === true && !link.up) {
      for (const address of this.#addresses) {
        if (address.interfaceIndex === interfaceIndex) {
          this.#addConnectedRoute(address);
        }
      }
    }
    if (change.up === false) {
      this.#dropRoutes((route) =>
        route.table === MAIN_TABLE && route.interfaceIndex === interfaceIndex
      );
    }
  }

  createVethPair(pair: NewVethPair): VethPair {
    const what = `create the veth pair ${pair.name} and ${pair.peerName}`;
    const name = this.#chooseName(pair.name);
    const peerName = this.#chooseName(pair.peerName);
    for (const wanted of [name, peerName]) this.#requireFree(wanted, what);
    // The kernel makes the peer first.
    const peerIndex = this.#nextIndex;
    const common = { kind: "veth", noArp: true, alias: pair.alias ?? "" };
    const peer = this.addLink({
      ...common,
      name: peerName,
      index: peerIndex,
      peerIndex: peerIndex + 1,
      mac: pair.peerMac,
      mtuBytes: pair.peerMtuBytes,
    });
    const link = this.addLink({
      ...common,
      name,
      peerIndex,
      mac: pair.mac,
      mtuBytes: pair.mtuBytes,
    });
    return { link, peer };
  }

  createVxlan(vxlan: NewVxlan): Link {
    const what = `create the VXLAN device ${vxlan.name}`;
    this.#requireFree(vxlan.name, what);
    const underlay = this.#existing(vxlan.underlayIndex, what);
    for (const { port, vni } of this.#vxlans.values()) {
      if (port === vxlan.port && vni === vxlan.vni) {
        throw new NetlinkError(what, ERRNO.EEXIST);
      }
    }
    const link = this.addLink({
      name: vxlan.name,
      kind: "vxlan",
      mac: vxlan.mac,
      mtuBytes: Math.min(vxlan.mtuBytes, underlay.mtuBytes - VXLAN_BYTES),
      peerIndex: vxlan.underlayIndex,
    });
    const { mac: _mac, mtuBytes: _mtu, name: _name, ...settings } = vxlan;
    this.#vxlans.set(link.index, settings);
    return link;
  }

  createWireguard(
    { mtuBytes, name }: { readonly name: string; readonly mtuBytes: number },
  ): Link {
    const what = `create the WireGuard device ${name}`;
    if (!this.hasWireguard) throw new NetlinkError(what, ERRNO.EOPNOTSUPP);
    this.#requireFree(name, what);
    const kind = "wireguard";
    return this.addLink({ name, kind, mtuBytes, mac: new Uint8Array(0) });
  }

  vxlanSettings(interfaceIndex: number): VxlanSettings | undefined {
    return this.#vxlans.get(interfaceIndex);
  }

  createIpip({ local, mtuBytes, name }: NewIpip): Link {
    const what = `create the ipip device ${name}`;
    this.#requireFree(name, what);
    for (const other of this.#ipips.values()) {
      if (other.local === local && other.remote === undefined) {
        throw new NetlinkError(what, ERRNO.EEXIST);
      }
    }
    const link = this.addLink({
      name,
      mtuBytes,
      kind: "ipip",
      noArp: true,
      mac: new Uint8Array(0),
    });
    this.#ipips.set(link.index, { local, remote: undefined });
    return link;
  }

  ipipSettings(interfaceIndex: number): IpipSettings | undefined {
    return this.#ipips.get(interfaceIndex);
  }

  neighbours(interfaceIndex: number): Neighbour[] {
    return ofDevice(this.#neighbours, interfaceIndex);
  }

  /** Those that the kernel has learnt, beside the permanent ones. */
  readonly learnt: (NeighbourEntry & { interfaceIndex: number })[] = [];

  neighbourEntries(interfaceIndex: number): NeighbourEntry[] {
    return [
      ...this.neighbours(interfaceIndex).map(({ address, mac }) => ({
        address,
        mac,
        state: "permanent" as const,
      })),
      ...this.learnt.filter((entry) => entry.interfaceIndex === interfaceIndex)
        .map(({ address, mac, state }) => ({ address, mac, state })),
    ];
  }

  replaceNeighbours(neighbours: readonly Neighbour[]): void {
    for (const neighbour of neighbours) {
      this.#existing(neighbour.interfaceIndex, "put a neighbour");
      this.removeNeighbours([neighbour]);
      this.#neighbours.push(neighbour);
    }
  }

  removeNeighbours(neighbours: readonly Neighbour[]): number {
    const before = this.#neighbours.length;
    this.#neighbours = this.#neighbours.filter((present) =>
      !neighbours.some(({ address, interfaceIndex }) =>
        present.interfaceIndex === interfaceIndex && present.address === address
      )
    );
    return before - this.#neighbours.length;
  }

  forwardingEntries(interfaceIndex: number): ForwardingEntry[] {
    return ofDevice(this.#forwarding, interfaceIndex);
  }

  replaceForwardingEntries(entries: readonly ForwardingEntry[]): void {
    for (const entry of entries) {
      this.#existing(entry.interfaceIndex, "put a forwarding entry");
      this.removeForwardingEntries([entry]);
      this.#forwarding.push(entry);
    }
  }

  removeForwardingEntries(entries: readonly ForwardingEntry[]): number {
    const before = this.#forwarding.length;
    this.#forwarding = this.#forwarding.filter((present) =>
      !entries.some(({ interfaceIndex, mac }) =>
        present.interfaceIndex === interfaceIndex &&
        formatMac(present.mac) === formatMac(mac)
      )
    );
    return before - this.#forwarding.length;
  }

  deleteLink(interfaceIndex: number): boolean {
    const above = [...this.#vxlans].filter(([, { underlayIndex }]) =>
      underlayIndex === interfaceIndex
    );
    for (const [index] of above) this.deleteLink(index);
    if (this.#vxlans.delete(interfaceIndex)) {
      // IFLA_LINK is the underlay's index here, not the other end of a pair.
      return this.#deleteOne(interfaceIndex);
    }
    const peerIndex = this.#links.find(({ index }) => index === interfaceIndex)
      ?.peerIndex;
    const deleted = this.#deleteOne(interfaceIndex);
    if (peerIndex !== undefined) this.#deleteOne(peerIndex);
    return deleted;
  }

  #deleteOne(interfaceIndex: number): boolean {
    const before = this.#links.length;
    this.#ipips.delete(interfaceIndex);
    const others = (entry: { interfaceIndex: number | undefined }) =>
      entry.interfaceIndex !== interfaceIndex;
    this.#links = this.#links.filter(({ index }) => index !== interfaceIndex);
    this.#addresses = this.#addresses.filter(others);
    this.#routes = this.#routes.filter(others);
    this.#neighbours = this.#neighbours.filter(others);
    this.#forwarding = this.#forwarding.filter(others);
    return this.#links.length < before;
  }

  ensureAddress(
    interfaceIndex: number,
    { address, prefixLength }: { address: Ipv4; prefixLength: number },
  ): boolean {
    this.#existing(interfaceIndex, `add an address to ${interfaceIndex}`);
    if (this.#find(interfaceIndex, address, prefixLength)) return false;
    this.addAddress(interfaceIndex, `${formatIpv4(address)}/${prefixLength}`);
    return true;
  }

  removeAddress(
    interfaceIndex: number,
    { address, prefixLength }: { address: Ipv4; prefixLength: number },
  ): boolean {
    const found = this.#find(interfaceIndex, address, prefixLength);
    if (found === undefined) return false;
    this.#addresses.splice(this.#addresses.indexOf(found), 1);
    this.#dropRoutes((route) => route.preferredSource === address);
    if (
      this.#addresses.some((other) => other.interfaceIndex === interfaceIndex)
    ) return true;
    // `inetdev_destroy` in net/ipv4/devinet.c: IPv4 ends on the device.
    this.#dropRoutes((route) =>
      route.table === MAIN_TABLE && route.interfaceIndex === interfaceIndex
    );
    this.#neighbours = this.#neighbours.filter((neighbour) =>
      neighbour.interfaceIndex !== interfaceIndex
    );
    return true;
  }

  replaceRoute(route: NewRoute): void {
    const what = "put a route";
    const type = route.type ?? "unicast";
    const interfaceIndex = type === "unicast"
      ? this.#nextHopInterface(route, what)
      : undefined;
    const metric = route.metric ?? 0;
    this.#dropRoutes((other) =>
      other.table === MAIN_TABLE && other.metric === metric &&
      equalCidr(other.destination, route.destination)
    );
    this.addRoute({
      destination: route.destination,
      type,
      interfaceIndex,
      gateway: route.gateway,
      preferredSource: route.preferredSource,
      metric,
      scope: route.scope ?? "global",
      protocol: route.protocol ?? BOOT_PROTOCOL,
      mtuBytes: route.mtuBytes,
    });
  }

  replaceRoutes(routes: readonly NewRoute[]): void {
    const refusals: unknown[] = [];
    for (const route of routes) {
      try {
        this.replaceRoute(route);
      } catch (error) {
        refusals.push(error);
      }
    }
    if (refusals.length > 0) throw refusals[0];
  }

  removeRoute(route: NewRoute): boolean {
    const index = this.#routes.findIndex((other) => isSameRoute(other, route));
    if (index >= 0) this.#routes.splice(index, 1);
    return index >= 0;
  }

  removeRoutes(routes: readonly NewRoute[]): number {
    return routes.filter((route) => this.removeRoute(route)).length;
  }

  [Symbol.dispose](): void {}

  #chooseName(pattern: string): string {
    for (let number = 0;; number++) {
      const name = pattern.replace("%d", String(number));
      if (name === pattern || !this.#nameTaken(name)) return name;
    }
  }

  #nameTaken(name: string): boolean {
    return this.#links.some((link) => link.name === name);
  }

  #requireFree(name: string, what: string): void {
    if (this.#nameTaken(name)) throw new NetlinkError(what, ERRNO.EEXIST);
  }

  #existing(interfaceIndex: number, what: string): Link {
    const link = this.#links.find(({ index }) => index === interfaceIndex);
    if (link === undefined) throw new NetlinkError(what, ERRNO.ENODEV);
    return link;
  }

  #find(
    interfaceIndex: number,
    address: Ipv4,
    prefixLength: number,
  ): LinkAddress | undefined {
    return this.#addresses.find((other) =>
      other.interfaceIndex === interfaceIndex && other.address === address &&
      other.prefixLength === prefixLength
    );
  }

  /** The device of a new route, which its gateway implies when none is named. */
  #nextHopInterface(route: NewRoute, what: string): number | undefined {
    const { interfaceIndex, gateway } = route;
    if (interfaceIndex !== undefined) {
      const link = this.#existing(interfaceIndex, what);
      if (!link.up) throw new NetlinkError(what, ERRNO.ENETDOWN);
    }
    if (gateway === undefined || route.onlink) return interfaceIndex;
    const connected = this.#routes.find((other) =>
      other.table === MAIN_TABLE && other.scope === "link" &&
      contains(other.destination, gateway) &&
      (interfaceIndex ?? other.interfaceIndex) === other.interfaceIndex
    );
    if (connected === undefined) {
      throw new NetlinkError(what, ERRNO.ENETUNREACH);
    }
    return connected.interfaceIndex;
  }

  /** As `inet_select_addr`: an address of the next hop's network, else any. */
  #sourceFor(interfaceIndex: number, nextHop: Ipv4): Ipv4 | undefined {
    const own = this.#addresses.filter((address) =>
      address.interfaceIndex === interfaceIndex && !address.secondary
    );
    const near = own.find((entry) =>
      contains(cidrOf(entry.address, entry.prefixLength), nextHop)
    );
    return (near ?? own[0])?.address;
  }

  #addLocalRoute({ address, interfaceIndex }: LinkAddress): void {
    this.addRoute({
      destination: cidrOf(address, 32),
      type: "local",
      table: LOCAL_TABLE,
      interfaceIndex,
      preferredSource: address,
      scope: "host",
      protocol: KERNEL_PROTOCOL,
    });
  }

  #addConnectedRoute(entry: LinkAddress): void {
    const { address, prefixLength, interfaceIndex, secondary } = entry;
    const link = this.#links.find(({ index }) => index === interfaceIndex);
    if (!link?.up || link.loopback || prefixLength === 32 || secondary) return;
    this.addRoute({
      destination: cidrOf(address, prefixLength),
      interfaceIndex,
      preferredSource: address,
      scope: "link",
      protocol: KERNEL_PROTOCOL,
    });
  }

  #dropRoutes(condition: (route: Route) => boolean): void {
    this.#routes = this.#routes.filter((route) => !condition(route));
  }
}

function ofDevice<Entry extends { readonly interfaceIndex: number }>(
  entries: readonly Entry[],
  interfaceIndex: number,
): Entry[] {
  return entries.filter((entry) => entry.interfaceIndex === interfaceIndex);
}
