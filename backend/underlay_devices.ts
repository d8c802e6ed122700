/**
 * By which devices of this host other hosts are reached.
 *
 * @module
 */

import type { Clock } from "../linux/clock.ts";
import { LOCAL_TABLE } from "../linux/netlink/route.ts";
import type { Route, Rtnetlink } from "../linux/netlink/rtnetlink.ts";
import { type Cidr, contains, formatCidr, isWithin } from "../net/cidr.ts";
import type { Ipv4 } from "../net/ipv4.ts";
import type { Underlay } from "../net/underlay.ts";

/** What is looked at. */
export interface UnderlayDevicesParts {
  readonly rtnetlink: Pick<Rtnetlink, "links" | "routes" | "addresses">;
  readonly clock: Pick<Clock, "monotonic">;
}

/** With thousands of peers a look takes long: it takes 0.2 % of the time at most. */
const REST_PER_WORK = 500;

/**
 * The devices of all routes that any peer's address matches, in whatever table,
 * the best route or not: after a fail-over another one is the best. The lease's
 * device is always one of them, and the overlay's never is.
 */
export class UnderlayDevices {
  readonly #parts: UnderlayDevicesParts;
  readonly #underlay: Underlay;
  readonly #network: Cidr;
  #found: { names: readonly string[]; untilMs: number } | undefined;

  /** @param network The overlay, in which no peer has its address. */
  constructor(
    parts: UnderlayDevicesParts,
    { network, underlay }: {
      readonly network: Cidr;
      readonly underlay: Underlay;
    },
  ) {
    this.#parts = parts;
    this.#underlay = underlay;
    this.#network = network;
  }

  /** Names, as of now or of a moment ago. */
  names(
    peers: Iterable<Ipv4>,
    overlayDevice: string | undefined,
  ): readonly string[] {
    const { clock } = this.#parts;
    const startedAtMs = clock.monotonic();
    if (this.#found !== undefined && startedAtMs < this.#found.untilMs) {
      return this.#found.names;
    }
    const names = this.#look(peers, overlayDevice);
    const nowMs = clock.monotonic();
    const untilMs = nowMs + (nowMs - startedAtMs) * REST_PER_WORK;
    this.#found = { names, untilMs };
    return names;
  }

  #look(
    peers: Iterable<Ipv4>,
    overlayDevice: string | undefined,
  ): readonly string[] {
    const { rtnetlink } = this.#parts;
    const links = new Map(rtnetlink.links().map((link) => [link.index, link]));
    const addresses = [...new Set(peers)];
    const indexes = new Set([this.#leaseDevice()]);
    // Backends have a route into the overlay for each peer.
    const routes = rtnetlink.routes()
      .filter(({ destination }) => !isWithin(destination, this.#network));
    for (const { destination, interfaceIndex } of ways(routes)) {
      if (indexes.has(interfaceIndex)) continue;
      if (addresses.some((address) => contains(destination, address))) {
        indexes.add(interfaceIndex);
      }
    }
    return [...indexes].map((index) => links.get(index))
      .filter((link) => link !== undefined && !link.loopback)
      .map((link) => link!.name)
      .filter((name) => name !== overlayDevice);
  }

  /** One that was unplugged comes back with another index. */
  #leaseDevice(): number {
    const { address, interfaceIndex } = this.#underlay;
    return this.#parts.rtnetlink.addresses()
      .find((other) => other.address === address)?.interfaceIndex ??
      interfaceIndex;
  }
}

/** Each destination and device once. */
function ways(
  routes: readonly Route[],
): { destination: Cidr; interfaceIndex: number }[] {
  const found = new Map<
    string,
    { destination: Cidr; interfaceIndex: number }
  >();
  for (const route of routes) {
    const { destination, table, type, nextHopDevices } = route;
    if (table === LOCAL_TABLE || type !== "unicast") continue;
    for (const index of nextHopDevices ?? [route.interfaceIndex]) {
      if (index === undefined) continue;
      const key = `${formatCidr(destination)} ${index}`;
      found.set(key, { destination, interfaceIndex: index });
    }
  }
  return [...found.values()];
}
