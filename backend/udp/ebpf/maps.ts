/**
 * The maps that the programs and the agent share.
 *
 * They exist as long as a program that uses them is attached, with or without
 * an agent; the next agent finds them through these programs. A map with
 * another specification is not taken over: see `adopt.ts`.
 *
 * @module
 */

import type { BpfMap, MapSpec } from "../../../linux/bpf/bpf.ts";
import { type Cidr, cidrOf } from "../../../net/cidr.ts";
import { type Ipv4, ipv4ToBytes, toIpv4 } from "../../../net/ipv4.ts";
import { COUNTER_BLOCK_BYTES } from "./counters.ts";
import { DROP_MAPS } from "./drop_maps.ts";

/** Peers with counters of their own; all others share the first slot. */
export const PEER_SLOTS = 4096;

/** Bytes of the counters of one peer: `PeerTraffic` (net/peer.ts). */
export const PEER_COUNTER_BYTES = 32;

/** A look-up in `peers`: the prefix length in bits (u32), the address. */
export const PEER_KEY_BYTES = 8;

/** A look-up in `arrivals`: the address, and the interface (u32). */
export const ARRIVAL_KEY_BYTES = 8;

/** `struct` of a value in `peers`, little endian but for the address. */
export const PEER = {
  /** Network byte order. */
  ADDRESS: 0,
  INTERFACE: 4,
  FLAGS: 8,
  SLOT: 12,
  /** CLOCK_BOOTTIME, nanoseconds; 0: never. */
  DEADLINE: 16,
  BYTES: 24,
} as const;

/** Bits of a peer's flags. */
export const PEER_FLAG = {
  /** Its packets are segmented before they are encapsulated. */
  CUT: 1,
  /** Its outer packets carry a UDP checksum. */
  CHECKSUM: 2,
  // 4 and 8 have meanings to earlier versions, whose entries are taken over.
} as const;

/**
 * Layout version of all maps; changed with the meaning of a key or value. An
 * agent takes over only maps of its own layout.
 */
const LAYOUT = 1;
/**
 * Layout version of the counters; changed when one is removed. Adding one makes
 * the map larger, so that it is not taken over either.
 */
const COUNTER_LAYOUT = 2;

/** Of the senders: the value of layout 1 was 1. */
const SENDER_LAYOUT = 2;

/**
 * The maps by their names in the programs; in the kernel the layout is added.
 */
export const MAPS = {
  /** The holder of a subnet; both directions read the same entry. */
  loden_peers: {
    name: `loden_peers${LAYOUT}`,
    type: "lpmTrie",
    keyBytes: PEER_KEY_BYTES,
    valueBytes: PEER.BYTES,
    maxEntries: 1 << 20,
  },
  /**
   * Holders' addresses, to tell an unknown sender from one with a wrong source,
   * with the interface by which each is reached (u32).
   */
  loden_senders: {
    name: `loden_senders${SENDER_LAYOUT}`,
    type: "hash",
    keyBytes: 4,
    valueBytes: 4,
    // Each of its buckets takes 16 bytes, even if it is empty.
    maxEntries: 1 << 16,
    noPreallocate: true,
  },
  /**
   * Interfaces by which an address may arrive, beside the one by which it is
   * reached: next hops of the same route.
   */
  loden_arrivals: {
    name: `loden_arrivals${LAYOUT}`,
    type: "hash",
    keyBytes: ARRIVAL_KEY_BYTES,
    valueBytes: 4,
    maxEntries: 1 << 16,
    noPreallocate: true,
  },
  loden_counters: {
    name: `loden_counters${COUNTER_LAYOUT}`,
    type: "percpuArray",
    keyBytes: 4,
    valueBytes: COUNTER_BLOCK_BYTES,
    maxEntries: 1,
  },
  loden_traffic: {
    name: `loden_traffic${LAYOUT}`,
    type: "percpuArray",
    keyBytes: 4,
    valueBytes: PEER_COUNTER_BYTES,
    maxEntries: PEER_SLOTS,
  },
  ...DROP_MAPS,
} as const satisfies Record<string, MapSpec>;

/** The name of one of them. */
export type MapName = keyof typeof MAPS;

type DropMapName = keyof typeof DROP_MAPS;

/** Whether only programs that record drops have it. */
export function isForDrops(name: string): name is DropMapName {
  return Object.hasOwn(DROP_MAPS, name);
}

/** All of them, open; those for drops only where programs record drops. */
export type Maps =
  & Readonly<Record<Exclude<MapName, DropMapName>, BpfMap>>
  & Readonly<Partial<Record<DropMapName, BpfMap>>>;

/** An entry of `peers`. */
export interface PeerEntry {
  readonly address: Ipv4;
  /** The device through which it is reached. */
  readonly interfaceIndex: number;
  /** Bits of {@linkcode PEER_FLAG}. */
  readonly flags: number;
  /** Its place in `loden_traffic`. */
  readonly slot: number;
  /** CLOCK_BOOTTIME, nanoseconds; 0: never. */
  readonly deadlineNs: bigint;
}

/** The key of a subnet. */
export function peerKey({ address, prefixLength }: Cidr): Uint8Array {
  const key = new Uint8Array(PEER_KEY_BYTES);
  new DataView(key.buffer).setUint32(0, prefixLength, true);
  key.set(ipv4ToBytes(address), 4);
  return key;
}

/** The key of an address that may arrive by an interface. */
export function arrivalKey(address: Ipv4, interfaceIndex: number): Uint8Array {
  const key = new Uint8Array(ARRIVAL_KEY_BYTES);
  key.set(ipv4ToBytes(address));
  new DataView(key.buffer).setUint32(4, interfaceIndex, true);
  return key;
}

/** The subnet of a key. */
export function subnetOfKey(key: Uint8Array): Cidr {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  return cidrOf(toIpv4(view.getUint32(4)), view.getUint32(0, true));
}

/** The value of a peer. */
export function encodePeer(entry: PeerEntry): Uint8Array {
  const view = new DataView(new ArrayBuffer(PEER.BYTES));
  view.setUint32(PEER.ADDRESS, entry.address);
  view.setUint32(PEER.INTERFACE, entry.interfaceIndex, true);
  view.setUint32(PEER.FLAGS, entry.flags, true);
  view.setUint32(PEER.SLOT, entry.slot, true);
  view.setBigUint64(PEER.DEADLINE, entry.deadlineNs, true);
  return new Uint8Array(view.buffer);
}

/** The peer of a value. */
export function decodePeer(value: Uint8Array): PeerEntry {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  return {
    address: toIpv4(view.getUint32(PEER.ADDRESS)),
    interfaceIndex: view.getUint32(PEER.INTERFACE, true),
    flags: view.getUint32(PEER.FLAGS, true),
    slot: view.getUint32(PEER.SLOT, true),
    deadlineNs: view.getBigUint64(PEER.DEADLINE, true),
  };
}

/** Places of the four 64-bit numbers of `loden_traffic`. */
export const TRAFFIC = {
  TX_PACKETS: 0,
  TX_BYTES: 8,
  RX_PACKETS: 16,
  RX_BYTES: 24,
} as const;
