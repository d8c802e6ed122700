/**
 * How packets get to each peer: by which device, in which form, and how large.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { NetlinkError } from "../../../linux/netlink/errors.ts";
import type {
  Link,
  RouteAnswer,
  Rtnetlink,
} from "../../../linux/netlink/rtnetlink.ts";
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

/** What does not change while the data path runs. */
export interface PeerRoutesOptions {
  readonly underlay: Underlay;
  /** Of the overlay device. */
  readonly mtuBytes: OverlayMtu;
}

type PeerRoute = Pick<RouteAnswer, "interfaceIndex" | "mtuBytes">;

/** See the module. */
export class PeerRoutes {
  readonly #rtnetlink: Pick<Rtnetlink, "routeTo">;
  readonly #options: PeerRoutesOptions;
  /** What fits into each route, where the overlay's MTU does not. */
  readonly #mtus = new Map<Ipv4, number | undefined>();
  /** Peers left out, and the devices that lead to them: each is told once. */
  readonly #unusable = new Map<Ipv4, string>();

  constructor(
    rtnetlink: Pick<Rtnetlink, "routeTo">,
    options: PeerRoutesOptions,
  ) {
    this.#rtnetlink = rtnetlink;
    this.#options = options;
  }

  /**
   * Asks the routing table about these peers, and forgets all others. Peers with an address of this host
   * are left out: packets to ourselves would come back as a stranger's. So are
   * those that another device than the lease's leads to, without Ethernet frames
   * for the programs: the others must not suffer from one.
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

  /** The same about some of them; nothing about the others is forgotten. */
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
      const mtuBytes = this.#overlayMtu(route, device?.mtuBytes);
      this.#mtus.set(peer.publicIp, mtuBytes);
      return [{
        subnet: peer.subnet,
        address: peer.publicIp,
        interfaceIndex: route.interfaceIndex,
        flags: flagsOf(peer),
        mtuBytes,
      }];
    });
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

  /** Whether an address is a peer's. */
  has(address: Ipv4): boolean {
    return this.#mtus.has(address);
  }

  /** What fits into the way to a peer; `undefined`: the overlay's MTU does. */
  mtuBytes(address: Ipv4): number | undefined {
    return this.#mtus.get(address);
  }

  #routeTo(address: Ipv4, deviceIndex: number): PeerRoute {
    const { interfaceIndex } = this.#options.underlay;
    const unknown = { interfaceIndex, mtuBytes: undefined };
    try {
      const route = this.#rtnetlink.routeTo(address);
      // An address within the overlay: its packets would go round.
      return route.interfaceIndex === deviceIndex ? unknown : route;
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      // No route now: there may be one again before the next look.
      return unknown;
    }
  }

  /**
   * What a packet may have on its route, if that is less than the overlay's MTU: a
   * route may say so, a router may have said so (the kernel remembers it for
   * `net.ipv4.route.mtu_expires`, ten minutes), or the device has another MTU now.
   * It goes onto the peer's route in the overlay, so that the host itself answers
   * a container with fragmentation needed, or fragments.
   */
  #overlayMtu(
    route: PeerRoute,
    deviceMtuBytes: number | undefined,
  ): number | undefined {
    const unlimited = Infinity;
    const outerBytes = Math.min(
      route.mtuBytes ?? unlimited,
      deviceMtuBytes ?? unlimited,
    );
    const innerBytes = outerBytes - UDP_ENCAPSULATION_BYTES;
    if (innerBytes >= this.#options.mtuBytes) return undefined;
    return Math.max(innerBytes, LEAST_OVERLAY_MTU_BYTES);
  }
}

/**
 * What the peer's receiver can take. One in user space takes packets of the
 * overlay's MTU with finished checksums, and merges (UDP_GRO) only datagrams that
 * have an outer one. flannel merges nothing.
 */
function flagsOf({ dataPath }: Peer): number {
  if (dataPath === "ebpf") return 0;
  return dataPath === "tun"
    ? PEER_FLAG.CUT | PEER_FLAG.CHECKSUM
    : PEER_FLAG.CUT;
}
