/**
 * What the ways to peers pass, where that is less than the underlay device does.
 *
 * Outer packets carry DF, so a router that cannot pass one says so by ICMP. The
 * kernel finds the socket of the slow path by the quoted ports, remembers the path
 * MTU for ten minutes (`net.ipv4.route.mtu_expires`), and this is put on the
 * peer's route in the overlay: from then on the host's own routing answers a
 * container with fragmentation needed, or fragments.
 *
 * @module
 */

import type { Clock } from "../../../linux/clock.ts";
import type { Rtnetlink } from "../../../linux/netlink/rtnetlink.ts";
import type { Ipv4 } from "../../../net/ipv4.ts";
import { UDP_ENCAPSULATION_BYTES } from "../../../net/mtu.ts";

/** As long as the kernel's. Then the larger ones are tried again. */
const LIFE_MS = 600_000;

/** See the module. */
export class PathMtus {
  readonly #rtnetlink: Rtnetlink;
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #underlayMtuBytes: number;
  readonly #learned = new Map<Ipv4, { mtuBytes: number; untilMs: number }>();

  constructor(
    rtnetlink: Rtnetlink,
    clock: Pick<Clock, "monotonic">,
    underlayMtuBytes: number,
  ) {
    this.#rtnetlink = rtnetlink;
    this.#clock = clock;
    this.#underlayMtuBytes = underlayMtuBytes;
  }

  /**
   * Asks the kernel, which has checked what the router said. Says whether that is
   * new. Throws {@linkcode NetlinkError} when there is no route to the peer.
   */
  learn(address: Ipv4): boolean {
    const { mtuBytes } = this.#rtnetlink.routeTo(address);
    if (mtuBytes === undefined || mtuBytes >= this.#underlayMtuBytes) {
      return false;
    }
    const before = this.#learned.get(address)?.mtuBytes;
    const untilMs = this.#clock.monotonic() + LIFE_MS;
    this.#learned.set(address, { mtuBytes, untilMs });
    return before !== mtuBytes;
  }

  /** What fits into the way to a peer; `undefined`: the overlay's MTU does. */
  overlayMtu(address: Ipv4): number | undefined {
    const learned = this.#learned.get(address);
    if (learned === undefined) return undefined;
    if (this.#clock.monotonic() >= learned.untilMs) {
      this.#learned.delete(address);
      return undefined;
    }
    return learned.mtuBytes - UDP_ENCAPSULATION_BYTES;
  }
}
