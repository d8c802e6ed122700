/**
 * The table that maps a packet to its peer, and a sender to its subnet.
 *
 * @module
 */

import { type Cidr, cidrSize, lastAddress } from "../../../net/cidr.ts";
import type { Peer } from "../../../net/peer.ts";
import * as layout from "./layout.ts";

/**
 * Largest number of entries of a flat table: 4 MiB. Beyond it (a network of more
 * than 2^20 subnets) the table is a sorted list.
 */
const MAX_FLAT_ENTRIES = 2 ** 20;

/** Where a table will lie and how it is made up. */
export interface TablePlan {
  readonly offset: number;
  readonly flat: boolean;
  /** log2 of the addresses of one flat entry. */
  readonly shift: number;
  readonly entryCount: number;
  /** Offsets in the memory, in bytes; `bytes` is the length, a multiple of 64. */
  readonly entries: number;
  readonly peers: number;
  readonly addresses: number;
  readonly bytes: number;
}

/**
 * Writes a table as planned. The smaller of two overlapping subnets wins, as
 * the longest prefix does in routing.
 *
 * A flat table is indexed by subnet number at the longest prefix length present,
 * so that a look-up is one load; `wasm/peers.as.ts` reads it.
 *
 * @returns the peers by their number in the table.
 */
export function writePeerTable(
  words: Uint32Array,
  table: TablePlan,
  network: Cidr,
  peers: readonly Peer[],
): Peer[] {
  words.fill(0, table.offset >> 2, (table.offset + table.bytes) >> 2);
  const bySize = [...peers].sort((a, b) =>
    a.subnet.prefixLength - b.subnet.prefixLength ||
    a.subnet.address - b.subnet.address
  );
  const addresses = [...new Set(bySize.map((peer) => peer.publicIp))]
    .sort((a, b) => a - b);

  writeHeader(words, table, network, addresses.length);
  words.set(addresses, table.addresses >> 2);
  bySize.forEach((peer, index) => {
    words[(table.peers + index * layout.PEER_BYTES) >> 2] = peer.publicIp;
  });
  if (table.flat) writeFlat(words, table, network, bySize);
  else {
    const ranges = disjointRanges(bySize);
    words[(table.offset + layout.TABLE_COUNT) >> 2] = ranges.length;
    ranges.forEach((range, index) => {
      words.set(
        [range.first, range.last, range.peer + 1],
        (table.entries + index * layout.RANGE_BYTES) >> 2,
      );
    });
  }
  return bySize;
}

/** What a table begins with; it holds for no other place. */
export function writeHeader(
  words: Uint32Array,
  table: TablePlan,
  network: Cidr,
  addressCount: number,
): void {
  const header: Record<number, number> = {
    [layout.TABLE_KIND]: table.flat
      ? layout.TABLE_KIND_FLAT
      : layout.TABLE_KIND_RANGES,
    [layout.TABLE_NETWORK]: network.address,
    [layout.TABLE_SHIFT]: table.shift,
    [layout.TABLE_COUNT]: table.entryCount,
    [layout.TABLE_ENTRIES]: table.entries,
    [layout.TABLE_PEERS]: table.peers,
    [layout.TABLE_ADDRESSES]: table.addresses,
    [layout.TABLE_ADDRESS_COUNT]: addressCount,
  };
  for (const [word, value] of Object.entries(header)) {
    words[(table.offset + Number(word)) >> 2] = value;
  }
}

/** What the size of a table depends on. */
export interface TableSize {
  /** Prefix lengths of the peers' subnets, without an order. */
  readonly lengths: Iterable<number>;
  /** Peers that it has room for. */
  readonly capacity: number;
}

/** How a table will be made up at `offset`. */
export function planTable(
  network: Cidr,
  { lengths, capacity }: TableSize,
  offset: number,
): TablePlan {
  let [shortest, longest] = [network.prefixLength, network.prefixLength];
  for (const length of lengths) {
    shortest = Math.min(shortest, length);
    longest = Math.max(longest, length);
  }
  const flatEntries = 2 ** (longest - network.prefixLength);
  const flat = flatEntries <= MAX_FLAT_ENTRIES &&
    shortest === network.prefixLength;
  // A subnet inside another splits it in up to three ranges.
  const entryCount = flat ? flatEntries : capacity * 2 + 1;
  const entries = offset + layout.TABLE_HEADER_BYTES;
  const peersAt = entries + entryCount * (flat ? 4 : layout.RANGE_BYTES);
  const addresses = peersAt + capacity * layout.PEER_BYTES;
  const end = addresses + capacity * 4;
  return {
    offset,
    flat,
    shift: 32 - longest,
    entryCount,
    entries,
    peers: peersAt,
    addresses,
    bytes: (end - offset + 63) & ~63,
  };
}

function writeFlat(
  words: Uint32Array,
  table: TablePlan,
  network: Cidr,
  bySize: readonly Peer[],
): void {
  bySize.forEach(({ subnet }, index) => {
    const { first, end } = flatEntriesOf(table, network, subnet);
    words.fill(index + 1, first, end);
  });
}

/**
 * The words of a subnet's entries in a flat table, the end excluded. A subnet of
 * another network (an old lease) has no place there.
 */
export function flatEntriesOf(
  table: TablePlan,
  network: Cidr,
  subnet: Cidr,
): { first: number; end: number } {
  const index = (subnet.address - network.address) / 2 ** table.shift;
  if (index < 0 || index >= table.entryCount) return { first: 0, end: 0 };
  const first = (table.entries >> 2) + index;
  return { first, end: first + cidrSize(subnet) / 2 ** table.shift };
}

interface Range {
  readonly first: number;
  readonly last: number;
  /** Index of the peer. */
  readonly peer: number;
}

/**
 * Cuts wide subnets around the narrow ones inside them; sorted by address.
 *
 * Subnets nest or are apart, so one walk from the lowest address up meets each
 * after those around it, and has left those that end before it.
 */
function disjointRanges(bySize: readonly Peer[]): Range[] {
  const byAddress = bySize
    .map(({ subnet }, peer): Range => ({
      first: subnet.address,
      last: lastAddress(subnet),
      peer,
    }))
    .sort((a, b) => a.first - b.first || b.last - a.last || a.peer - b.peer);
  const ranges: Range[] = [];
  const around: Range[] = [];
  let next = 0;
  const cover = (last: number, peer: number) => {
    if (last < next) return;
    ranges.push({ first: next, last, peer });
    next = last + 1;
  };
  const leaveThoseBefore = (address: number) => {
    for (;;) {
      const innermost = around.at(-1);
      if (innermost === undefined || innermost.last >= address) return;
      cover(innermost.last, innermost.peer);
      around.pop();
    }
  };
  for (const range of byAddress) {
    leaveThoseBefore(range.first);
    const innermost = around.at(-1);
    if (innermost !== undefined) cover(range.first - 1, innermost.peer);
    next = range.first;
    around.push(range);
  }
  leaveThoseBefore(Infinity);
  return ranges;
}
