/**
 * The route to each peer: the device, the form of packets, and their size.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { NetlinkError } from "../../../linux/netlink/errors.ts";
import type {
  Link,
  Route,
  RouteAnswer,
  Rtnetlink,
} from "../../../linux/netlink/rtnetlink.ts";
import { type Cidr, contains } from "../../../net/cidr.ts";
import { formatIpv4, type Ipv4 } from "../../../net/ipv4.ts";
import {
  LEAST_OVERLAY_MTU_BYTES,
  type OverlayMtu,
  UDP_ENCAPSULATION_BYTES,
} from "../../../net/mtu.ts";
import type { Peer } from "../../../net/peer.ts";
import type { Underlay } from "../../../net/underlay.ts";
import { PEER_FLAG } from "./maps.ts";
import type { KernelPeer } from "./peer_table.ts";

const log = getLogger(["loden", "backend"]);

/** What is constant while the data path runs. */
export interface PeerRoutesOptions {
  readonly underlay: Underlay;
  /** Of the overlay device. */
  readonly mtuBytes: OverlayMtu;
}

/** What is taken of an MTU that a router has named; `undefined`: nothing. */
type Believed = (address: Ipv4, mtuBytes: number) => number | undefined;

type PeerRoute = Pick<
  RouteAnswer,
  "interfaceIndex" | "isLearned" | "mtuBytes"
>;

/** See the module. */
export class PeerRoutes {
  readonly #rtnetlink: Pick<Rtnetlink, "nextHops" | "routeTo">;
  /** Destinations of the host's routes with several next hops. */
  #multipath: readonly Cidr[] = [];
  readonly #options: PeerRoutesOptions;
  readonly #believed: Believed;
  /** The MTU of each route that is smaller than the overlay's. */
  readonly #mtus = new Map<Ipv4, number | undefined>();
  /** Peers that cannot be served, with their devices; each is logged once. */
  readonly #unusable = new Map<Ipv4, string>();

  constructor(
    rtnetlink: Pick<Rtnetlink, "nextHops" | "routeTo">,
    options: PeerRoutesOptions,
    believed: Believed = (_, mtuBytes) => mtuBytes,
  ) {
    this.#believed = believed;
    this.#rtnetlink = rtnetlink;
    this.#options = options;
  }

  /**
   * Queries the routes to these peers and forgets all others. Peers with an
   * address of this host are left out, because packets to ourselves would come
   * back with an unknown sender. Peers reached through another device than the
   * lease's, without Ethernet frames, are also left out, so that they do not
   * affect the others.
   */
  find(
    peers: readonly Peer[],
    links: readonly Link[],
    deviceIndex: number,
  ): KernelPeer[] {
    this.#mtus.clear();
    const addresses = new Set(peers.map(({ publicIp }) => publicIp));
    for (const address of this.#unusable.keys()) {
      if (!addresses.has(address)) this.#unusable.delete(address);
    }
    return this.findMore(peers, links, deviceIndex);
  }

  /** The same for some of them, without forgetting the others. */
  findMore(
    peers: readonly Peer[],
    links: readonly Link[],
    deviceIndex: number,
  ): KernelPeer[] {
    const { underlay } = this.#options;
    const devices = new Map(links.map((link) => [link.index, link]));
    return peers.filter(({ publicIp }) =>
      publicIp !== underlay.publicIp && publicIp !== underlay.address
    ).flatMap((peer) => {
      const route = this.#routeTo(peer.publicIp, deviceIndex);
      const device = devices.get(route.interfaceIndex);
      if (
        device?.mac.length === 0 && device.index !== underlay.interfaceIndex
      ) {
        this.#leaveOut(peer.publicIp, device.name);
        return [];
      }
      this.#unusable.delete(peer.publicIp);
      const mtuBytes = this.#overlayMtu(
        this.#routeMtu(peer.publicIp, route),
        device?.mtuBytes,
      );
      this.#mtus.set(peer.publicIp, mtuBytes);
      return [{
        subnet: peer.subnet,
        address: peer.publicIp,
        interfaceIndex: route.interfaceIndex,
        ...this.#otherNextHops(peer.publicIp, route),
        flags: flagsOf(peer),
        mtuBytes,
      }];
    });
  }

  /** All routes that there are, when they have been read. */
  readRoutes(routes: readonly Route[]): void {
    this.#multipath = routes.filter(({ multipath }) => multipath)
      .map(({ destination }) => destination);
  }

  /** By which its packets may come as well. Most hosts have no such routes. */
  #otherNextHops(
    address: Ipv4,
    { interfaceIndex }: PeerRoute,
  ): Pick<KernelPeer, "otherInterfaces"> {
    const isCandidate = this.#multipath.some((each) => contains(each, address));
    if (!isCandidate) return {};
    try {
      const devices = new Set(this.#rtnetlink.nextHops(address));
      devices.delete(interfaceIndex);
      return { otherInterfaces: [...devices] };
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      return {};
    }
  }

  #leaveOut(address: Ipv4, device: string): void {
    if (this.#unusable.get(address) === device) return;
    this.#unusable.set(address, device);
    log.warn("peer gets no packets: no Ethernet device leads to it", {
      event: "backend.peer-left-out",
      peer: formatIpv4(address),
      device,
      hint: "use --datapath=tun to carry packets in user space",
    });
  }

  /** Whether a peer has this address. */
  has(address: Ipv4): boolean {
    return this.#mtus.has(address);
  }

  /** The MTU of the route to a peer; `undefined` if it is the overlay's. */
  mtuBytes(address: Ipv4): number | undefined {
    return this.#mtus.get(address);
  }

  #routeTo(address: Ipv4, deviceIndex: number): PeerRoute {
    const { interfaceIndex } = this.#options.underlay;
    const unknown = { interfaceIndex, mtuBytes: undefined };
    try {
      const route = this.#rtnetlink.routeTo(address);
      // An address within the overlay: its packets would loop.
      return route.interfaceIndex === deviceIndex ? unknown : route;
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      // No route now; there may be one again before the next check.
      return unknown;
    }
  }

  /** Without what a router is not believed. */
  #routeMtu(
    address: Ipv4,
    { isLearned, mtuBytes }: PeerRoute,
  ): number | undefined {
    return isLearned && mtuBytes !== undefined
      ? this.#believed(address, mtuBytes)
      : mtuBytes;
  }

  /**
   * The MTU of a route, if it is smaller than the overlay's: set on the route,
   * reported by a router (the kernel remembers it for
   * `net.ipv4.route.mtu_expires`, ten minutes), or from a changed MTU of the
   * device. It is set on the peer's overlay route, so that the host itself
   * answers a container with fragmentation needed, or fragments.
   */
  #overlayMtu(
    routeMtuBytes: number | undefined,
    deviceMtuBytes: number | undefined,
  ): number | undefined {
    const unlimited = Infinity;
    const outerBytes = Math.min(
      routeMtuBytes ?? unlimited,
      deviceMtuBytes ?? unlimited,
    );
    const innerBytes = outerBytes - UDP_ENCAPSULATION_BYTES;
    if (innerBytes >= this.#options.mtuBytes) return undefined;
    return Math.max(innerBytes, LEAST_OVERLAY_MTU_BYTES);
  }
}

/**
 * What the peer can receive. User space accepts packets up to the overlay's MTU
 * with complete checksums, and merges (UDP_GRO) only datagrams with an outer
 * checksum. flannel merges nothing.
 */
function flagsOf({ dataPath }: Peer): number {
  if (dataPath === "ebpf") return 0;
  return dataPath === "tun"
    ? PEER_FLAG.CUT | PEER_FLAG.CHECKSUM
    : PEER_FLAG.CUT;
}
