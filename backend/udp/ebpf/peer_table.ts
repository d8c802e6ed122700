/**
 * The peers in the programs' maps and in the host's routing table.
 *
 * An entry is replaced atomically, and both directions read the same one, so a
 * subnet that moves is never sent to one host and accepted from another. A peer
 * is in the map before its route exists and as long as it exists, so a packet
 * that is routed to the overlay device finds its peer.
 *
 * @module
 */

import type { MapEntry } from "../../../linux/bpf/bpf.ts";
import { sumPerCpu } from "../../../linux/bpf/per_cpu.ts";
import { MAIN_TABLE } from "../../../linux/netlink/route.ts";
import type {
  NewRoute,
  Route,
  Rtnetlink,
} from "../../../linux/netlink/rtnetlink.ts";
import { type Cidr, formatCidr } from "../../../net/cidr.ts";
import { type Ipv4, ipv4ToBytes } from "../../../net/ipv4.ts";
import type { PeerTraffic } from "../../../net/peer.ts";
import {
  arrivalKey,
  decodePeer,
  encodePeer,
  type Maps,
  PEER_COUNTER_BYTES,
  PEER_SLOTS,
  type PeerEntry,
  peerKey,
  subnetOfKey,
} from "./maps.ts";

/** A peer as the data path knows it. */
export interface KernelPeer {
  readonly subnet: Cidr;
  readonly address: Ipv4;
  readonly interfaceIndex: number;
  /** Interfaces by which its packets may come as well: other next hops. */
  readonly otherInterfaces?: readonly number[];
  readonly flags: number;
  /** The path MTU minus the outer headers; undefined if there is no limit. */
  readonly mtuBytes: number | undefined;
}

/**
 * The boot-time clock, in nanoseconds, until which the programs accept a peer.
 * Constant per subnet until the next deadlines are computed.
 */
export type DeadlineOf = (subnet: Cidr) => bigint;

/** The difference from the former peers. */
export interface KernelPeerChanges {
  /** New and changed peers. */
  readonly put: readonly KernelPeer[];
  readonly removed: readonly Cidr[];
}

/** See the module. */
export class KernelPeerTable {
  readonly #maps: Maps;
  readonly #rtnetlink: Rtnetlink;
  readonly #deviceIndex: number;
  /** What is in the map, by subnet. */
  readonly #entries = new Map<string, { subnet: Cidr; entry: PeerEntry }>();
  /** Free slots; taken from the end. */
  readonly #freeSlots: number[] = [];
  /** The number of entries per address. */
  readonly #holdings = new Map<Ipv4, number>();
  /** The addresses that are in the map, and their interfaces there. */
  readonly #senders = new Map<Ipv4, number>();
  /** The same of `loden_arrivals`: keys by their text. */
  readonly #arrivals = new Map<string, { address: Ipv4; key: Uint8Array }>();
  /** Of each address, its other interfaces. */
  readonly #wantedArrivals = new Map<Ipv4, readonly number[]>();
  readonly #routes = new Map<string, NewRoute>();
  /** The last change failed halfway; only the kernel has the actual state. */
  #torn = false;

  /** Takes over the maps and routes of an earlier agent. */
  constructor(maps: Maps, rtnetlink: Rtnetlink, deviceIndex: number) {
    this.#maps = maps;
    this.#rtnetlink = rtnetlink;
    this.#deviceIndex = deviceIndex;
    this.#readMaps();
    this.readRoutes();
  }

  #readMaps(): void {
    this.#entries.clear();
    this.#holdings.clear();
    this.#senders.clear();
    this.#freeSlots.length = 0;
    const used = new Set<number>();
    for (const { key, value } of this.#maps.loden_peers.entries()) {
      const subnet = subnetOfKey(key);
      const entry = decodePeer(value);
      used.add(entry.slot);
      this.#remember(formatCidr(subnet), subnet, entry);
    }
    for (const { key, value } of this.#maps.loden_senders.entries()) {
      this.#senders.set(addressOfKey(key), u32Of(value));
    }
    this.#arrivals.clear();
    for (const { key } of this.#maps.loden_arrivals.entries()) {
      this.#arrivals.set(key.join(), { address: addressOfKey(key), key });
    }
    for (let slot = PEER_SLOTS - 1; slot > 0; slot--) {
      if (!used.has(slot)) this.#freeSlots.push(slot);
    }
  }

  /** The number of peers in the map. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Traffic to and from each peer, in the order in which their subnets became
   * known. Peers beyond the last slot share one and are left out.
   */
  traffic(): PeerTraffic[] {
    return [...this.#entries.values()].flatMap(
      ({ subnet, entry: { slot } }) => {
        const value = this.#maps.loden_traffic.lookup(slotKey(slot));
        if (slot === COMMON_SLOT || value === undefined) return [];
        const [txPackets = 0, txBytes = 0, rxPackets = 0, rxBytes = 0] =
          sumPerCpu(value, PEER_COUNTER_BYTES);
        return [{ subnet, txPackets, txBytes, rxPackets, rxBytes }];
      },
    );
  }

  /** Reads the routing table again, because it may have changed. */
  readRoutes(routes: readonly Route[] = this.#rtnetlink.routes()): void {
    this.#routes.clear();
    for (const route of routes) {
      if (
        route.interfaceIndex !== this.#deviceIndex ||
        route.table !== MAIN_TABLE || route.type !== "unicast"
      ) continue;
      this.#routes.set(formatCidr(route.destination), {
        destination: route.destination,
        interfaceIndex: this.#deviceIndex,
        onlink: true,
        ...(route.gateway === undefined ? {} : { gateway: route.gateway }),
        ...(route.mtuBytes === undefined ? {} : { mtuBytes: route.mtuBytes }),
        metric: route.metric,
      });
    }
  }

  /**
   * Sets the peers with their deadlines on the boot-time clock. Throws the
   * kernel's error; a repetition continues from there. Returns whether a route
   * of a known peer was wrong.
   */
  set(peers: readonly KernelPeer[], deadlineOf: DeadlineOf): boolean {
    this.put(peers, deadlineOf);
    return this.settle(peers);
  }

  /** The first half of {@linkcode set}: the programs know all of these peers. */
  put(peers: readonly KernelPeer[], deadlineOf: DeadlineOf): void {
    if (this.#torn) {
      this.#readMaps();
      this.readRoutes();
    }
    this.#torn = true;
    this.#known = new Set(this.#entries.keys());
    this.#wantedArrivals.clear();
    this.#putSenders(peers);
    this.#putEntries(bySubnet(peers), deadlineOf);
  }

  /** The second half: packets are routed to them and to no other peers. */
  settle(peers: readonly KernelPeer[]): boolean {
    const wanted = bySubnet(peers);
    const lost = this.#putRoutes(wanted).some((text) => this.#known.has(text));
    this.#removeRoutes(
      [...this.#routes.keys()].filter((text) => !wanted.has(text)),
    );
    this.#removeEntries(
      [...this.#entries.keys()].filter((text) => !wanted.has(text)),
    );
    this.#removeSenders(new Set(this.#senders.keys()));
    this.#torn = false;
    return lost;
  }

  /** The peers before the change. */
  #known: ReadonlySet<string> = new Set();

  /**
   * Adds some peers and removes others; the cost depends only on their number.
   * All others must be as last passed to {@linkcode set}, with those deadlines.
   * Throws the kernel's error; then only a `set` may follow.
   */
  change({ put, removed }: KernelPeerChanges, deadlineOf: DeadlineOf): void {
    this.#torn = true;
    const wanted = bySubnet(put);
    const unwanted = removed.map(formatCidr);
    const formerSenders = new Set(
      [...wanted.keys(), ...unwanted].flatMap((text) =>
        this.#entries.get(text)?.entry.address ?? []
      ),
    );
    this.#putSenders(put);
    this.#putEntries(wanted, deadlineOf);
    this.#putRoutes(wanted);
    this.#removeRoutes(unwanted);
    this.#removeEntries(unwanted);
    this.#removeSenders(formerSenders);
    this.#torn = false;
  }

  #putSenders(peers: readonly KernelPeer[]): void {
    const changed = new Map(
      peers.filter(({ address, interfaceIndex }) =>
        this.#senders.get(address) !== interfaceIndex
      ).map(({ address, interfaceIndex }) => [address, interfaceIndex]),
    );
    this.#maps.loden_senders.updateMany(
      [...changed].map(([address, interfaceIndex]) => ({
        key: ipv4ToBytes(address),
        value: u32Bytes(interfaceIndex),
      })),
    );
    for (const [address, index] of changed) this.#senders.set(address, index);
    this.#putArrivals(peers);
  }

  #putArrivals(peers: readonly KernelPeer[]): void {
    const added: MapEntry[] = [];
    for (const { address, otherInterfaces = [] } of peers) {
      this.#wantedArrivals.set(address, otherInterfaces);
      for (const index of otherInterfaces) {
        const key = arrivalKey(address, index);
        if (this.#arrivals.has(key.join())) continue;
        added.push({ key, value: ONE });
        this.#arrivals.set(key.join(), { address, key });
      }
    }
    if (added.length > 0) this.#maps.loden_arrivals.updateMany(added);
  }

  /** What is no longer another interface of its address. */
  #removeArrivals(): void {
    for (const [text, { address, key }] of this.#arrivals) {
      const wanted = this.#wantedArrivals.get(address) ?? [];
      const isWanted = this.#holdings.has(address) &&
        wanted.includes(u32Of(key.subarray(4)));
      if (isWanted) continue;
      this.#maps.loden_arrivals.delete(key);
      this.#arrivals.delete(text);
    }
  }

  #putEntries(
    wanted: ReadonlyMap<string, KernelPeer>,
    deadlineOf: DeadlineOf,
  ): void {
    const changed: MapEntry[] = [];
    const taken: number[] = [];
    const now = new Map<string, { subnet: Cidr; entry: PeerEntry }>();
    for (const [text, peer] of wanted) {
      const before = this.#entries.get(text)?.entry;
      const slot = before?.slot ?? this.#freeSlots.pop() ?? COMMON_SLOT;
      if (before === undefined && slot !== COMMON_SLOT) taken.push(slot);
      const { subnet, address, interfaceIndex, flags } = peer;
      const deadlineNs = deadlineOf(subnet);
      const entry = { address, interfaceIndex, flags, slot, deadlineNs };
      now.set(text, { subnet, entry });
      if (before !== undefined && isSameEntry(before, entry)) continue;
      changed.push({ key: peerKey(subnet), value: encodePeer(entry) });
    }
    this.#clearTraffic(taken);
    this.#maps.loden_peers.updateMany(changed);
    for (const [text, { subnet, entry }] of now) {
      this.#remember(text, subnet, entry);
    }
  }

  #remember(text: string, subnet: Cidr, entry: PeerEntry): void {
    this.#release(text);
    this.#entries.set(text, { subnet, entry });
    const { address } = entry;
    this.#holdings.set(address, (this.#holdings.get(address) ?? 0) + 1);
  }

  /** Counts one entry less for the address. */
  #release(text: string): void {
    const address = this.#entries.get(text)?.entry.address;
    if (address === undefined) return;
    const rest = this.#holdings.get(address)! - 1;
    if (rest === 0) this.#holdings.delete(address);
    else this.#holdings.set(address, rest);
  }

  /** The subnets whose routes were set. */
  #putRoutes(wanted: ReadonlyMap<string, KernelPeer>): string[] {
    const added: NewRoute[] = [];
    const former: NewRoute[] = [];
    for (const [text, { subnet, mtuBytes }] of wanted) {
      const route: NewRoute = {
        destination: subnet,
        // One neighbour entry per peer; otherwise each container's address
        // would need one.
        gateway: subnet.address,
        interfaceIndex: this.#deviceIndex,
        onlink: true,
        metric: metricOf(subnet),
        ...(mtuBytes === undefined ? {} : { mtuBytes }),
      };
      const before = this.#routes.get(text);
      if (
        before !== undefined && before.gateway === route.gateway &&
        before.mtuBytes === mtuBytes &&
        before.metric === route.metric
      ) continue;
      added.push(route);
      // A route with another metric is a different one and stays.
      if (before !== undefined && before.metric !== route.metric) {
        former.push(before);
      }
    }
    if (added.length > 0) this.#rtnetlink.replaceRoutes(added);
    if (former.length > 0) this.#rtnetlink.removeRoutes(former);
    for (const route of added) {
      this.#routes.set(formatCidr(route.destination), route);
    }
    return added.map(({ destination }) => formatCidr(destination));
  }

  #removeRoutes(subnets: readonly string[]): void {
    const removed = subnets.flatMap((text) => this.#routes.get(text) ?? []);
    if (removed.length === 0) return;
    this.#rtnetlink.removeRoutes(removed);
    for (const text of subnets) this.#routes.delete(text);
  }

  #removeEntries(subnets: readonly string[]): void {
    for (const text of subnets) {
      const before = this.#entries.get(text);
      if (before === undefined) continue;
      this.#maps.loden_peers.delete(peerKey(before.subnet));
      this.#release(text);
      this.#entries.delete(text);
      const { slot } = before.entry;
      if (slot !== COMMON_SLOT) this.#freeSlots.push(slot);
    }
  }

  /** The addresses that no peer uses any more. */
  #removeSenders(addresses: ReadonlySet<Ipv4>): void {
    for (const address of [...addresses]) {
      if (this.#holdings.has(address) || !this.#senders.has(address)) continue;
      this.#maps.loden_senders.delete(ipv4ToBytes(address));
      this.#senders.delete(address);
    }
    this.#removeArrivals();
  }

  /** A slot's new owner starts at 0. */
  #clearTraffic(slots: readonly number[]): void {
    const traffic = this.#maps.loden_traffic;
    const value = new Uint8Array(
      traffic.lookup(slotKey(COMMON_SLOT))?.length ?? PEER_COUNTER_BYTES,
    );
    traffic.updateMany(slots.map((slot) => ({ key: slotKey(slot), value })));
  }
}

function bySubnet(peers: readonly KernelPeer[]): Map<string, KernelPeer> {
  return new Map(peers.map((peer) => [formatCidr(peer.subnet), peer]));
}

const ONE = Uint8Array.of(1, 0, 0, 0);
/** The shared slot of all others. */
const COMMON_SLOT = 0;
const METRICS = 1024;

/**
 * A route's metric means nothing here, but the kernel compares a new next hop
 * with all others of its device and metric (`net/ipv4/fib_semantics.c`): with one
 * metric, 10,000 routes take it seconds.
 */
function metricOf({ address, prefixLength }: Cidr): number {
  return 1 + (address >>> (32 - prefixLength)) % METRICS;
}

function slotKey(slot: number): Uint8Array {
  return u32Bytes(slot);
}

/** As the programs read it. */
function u32Bytes(number: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, number, true);
  return bytes;
}

function u32Of(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
}

function addressOfKey(key: Uint8Array): Ipv4 {
  return new DataView(key.buffer, key.byteOffset, 4).getUint32(0) as Ipv4;
}

function isSameEntry(a: PeerEntry, b: PeerEntry): boolean {
  return a.address === b.address && a.interfaceIndex === b.interfaceIndex &&
    a.flags === b.flags && a.slot === b.slot && a.deadlineNs === b.deadlineNs;
}
