/**
 * The table by which a packet finds its peer, and a sender proves its subnet.
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
interface TablePlan {
  readonly flat: boolean;
  /** log2 of the addresses of one flat entry. */
  readonly shift: number;
  readonly entryCount: number;
  readonly entries: number;
  readonly peers: number;
  readonly addresses: number;
  readonly bytes: number;
}

/** Bytes that a table of these peers needs, a multiple of 64. */
export function peerTableBytes(network: Cidr, peers: readonly Peer[]): number {
  return plan(network, peers, 0).bytes;
}

/**
 * Writes a table at `offset`. The smaller of two overlapping subnets wins, as
 * the longest prefix does in routing.
 *
 * A flat table is indexed by subnet number at the longest prefix length present,
 * so that a look-up is one load; `wasm/peers.as.ts` reads it.
 */
export function writePeerTable(
  words: Uint32Array,
  offset: number,
  network: Cidr,
  peers: readonly Peer[],
): void {
  const table = plan(network, peers, offset);
  words.fill(0, offset >> 2, (offset + table.bytes) >> 2);
  const bySize = [...peers].sort((a, b) =>
    a.subnet.prefixLength - b.subnet.prefixLength ||
    a.subnet.address - b.subnet.address
  );
  const addresses = [...new Set(bySize.map((peer) => peer.publicIp))]
    .sort((a, b) => a - b);

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
    [layout.TABLE_ADDRESS_COUNT]: addresses.length,
  };
  for (const [word, value] of Object.entries(header)) {
    words[(offset + Number(word)) >> 2] = value;
  }
  words.set(addresses, table.addresses >> 2);
  bySize.forEach((peer, index) => {
    words[(table.peers + index * layout.PEER_BYTES) >> 2] = peer.publicIp;
  });
  if (table.flat) writeFlat(words, table, network, bySize);
  else {
    const ranges = disjointRanges(bySize);
    words[(offset + layout.TABLE_COUNT) >> 2] = ranges.length;
    ranges.forEach((range, index) => {
      words.set(
        [range.first, range.last, range.peer + 1],
        (table.entries + index * layout.RANGE_BYTES) >> 2,
      );
    });
  }
}

function plan(
  network: Cidr,
  peers: readonly Peer[],
  offset: number,
): TablePlan {
  const longest = peers.reduce(
    (length, peer) => Math.max(length, peer.subnet.prefixLength),
    network.prefixLength,
  );
  const flatEntries = 2 ** (longest - network.prefixLength);
  const flat = flatEntries <= MAX_FLAT_ENTRIES &&
    peers.every((peer) => peer.subnet.prefixLength >= network.prefixLength);
  // A subnet inside another splits it in up to three ranges.
  const entryCount = flat ? flatEntries : peers.length * 2 + 1;
  const entries = offset + layout.TABLE_HEADER_BYTES;
  const peersAt = entries + entryCount * (flat ? 4 : layout.RANGE_BYTES);
  const addresses = peersAt + peers.length * layout.PEER_BYTES;
  const end = addresses + peers.length * 4;
  return {
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
  bySize.forEach((peer, index) => {
    const first = (peer.subnet.address - network.address) / 2 ** table.shift;
    // A subnet of another network (an old lease) has no place here.
    if (first < 0 || first >= table.entryCount) return;
    const count = cidrSize(peer.subnet) / 2 ** table.shift;
    const at = (table.entries >> 2) + first;
    words.fill(index + 1, at, at + count);
  });
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
