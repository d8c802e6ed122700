/**
 * A peer table that follows its peers: each version is a changed copy of the
 * last one, at another place.
 *
 * Copying the table of ten thousand peers takes some ten microseconds; building
 * it again would block for as many milliseconds.
 *
 * @module
 */

import { type Cidr, cidrOf, formatCidr } from "../../../net/cidr.ts";
import type { Ipv4 } from "../../../net/ipv4.ts";
import type { Peer, PeerDiff } from "../../../net/peer.ts";
import {
  flatEntriesOf,
  planTable,
  type TablePlan,
  writeHeader,
  writePeerTable,
} from "./peer_table.ts";
import { PEER_BYTES } from "./layout.ts";

/** Room for that many peers, to begin with. */
const FIRST_CAPACITY = 64;

/** See the module. */
export class ChangingPeerTable {
  readonly #network: Cidr;
  /** Each with its number in the table, by subnet. */
  readonly #peers = new Map<string, { peer: Peer; number: number }>();
  /** How many peers have a prefix length. */
  readonly #lengths = new Map<number, number>();
  /** How many peers have an underlay address. */
  readonly #holders = new Map<Ipv4, number>();
  /** By number, as in the table that was written last. */
  #numbered: (Peer | undefined)[] = [];
  #freeNumbers: number[] = [];
  #capacity = FIRST_CAPACITY;
  /** In the table that was written last. */
  #addressCount = 0;
  /** How the table lies that was written last. */
  #written: TablePlan | undefined;

  constructor(network: Cidr) {
    this.#network = network;
  }

  get peerCount(): number {
    return this.#peers.size;
  }

  /**
   * Writes the table after `diff`. `place` returns the offset for the given
   * number of bytes, which must not overlap the last table.
   *
   * @returns the offset.
   */
  write(
    diff: PeerDiff,
    place: (bytes: number) => { offset: number; words: Uint32Array },
  ): number {
    const before = this.#written;
    const changes = this.#take(diff);
    const isFull = this.#peers.size > this.#capacity;
    if (isFull) this.#capacity = 2 * this.#peers.size;
    const plan = (offset: number) =>
      planTable(this.#network, {
        lengths: this.#lengths.keys(),
        capacity: this.#capacity,
      }, offset);
    const { offset, words } = place(plan(0).bytes);
    const table = plan(offset);
    if (before !== undefined && !isFull && isSameForm(before, table)) {
      const [from, to] = [before.offset >> 2, offset >> 2];
      words.copyWithin(to, from, from + (table.bytes >> 2));
      this.#change(words, table, changes);
    } else {
      this.#writeAll(words, table);
    }
    this.#written = table;
    this.#addressCount = this.#holders.size;
    return offset;
  }

  /** What is different, each subnet once: its peer before and after. */
  #take({ added, changed, removed }: PeerDiff): Change[] {
    const changes: Change[] = [];
    for (const { subnet } of removed) {
      const text = formatCidr(subnet);
      const before = this.#peers.get(text);
      if (before === undefined) continue;
      this.#peers.delete(text);
      changes.push({ before: before.peer, number: before.number });
    }
    for (const peer of [...added, ...changed]) {
      const text = formatCidr(peer.subnet);
      const before = this.#peers.get(text);
      const number = before?.number ?? NO_NUMBER;
      this.#peers.set(text, { peer, number });
      changes.push({ before: before?.peer, after: peer, number });
    }
    for (const { before, after } of changes) {
      if (after !== undefined) {
        add(this.#lengths, after.subnet.prefixLength, 1);
        add(this.#holders, after.publicIp, 1);
      }
      if (before !== undefined) {
        add(this.#lengths, before.subnet.prefixLength, -1);
        add(this.#holders, before.publicIp, -1);
      }
    }
    return changes;
  }

  #writeAll(words: Uint32Array, table: TablePlan): void {
    const peers = [...this.#peers.values()].map(({ peer }) => peer);
    this.#numbered = writePeerTable(words, table, this.#network, peers);
    this.#numbered.forEach((peer, number) => {
      this.#peers.get(formatCidr(peer!.subnet))!.number = number;
    });
    this.#freeNumbers = [];
  }

  /** In a flat table, which is as it was before the changes. */
  #change(
    words: Uint32Array,
    table: TablePlan,
    changes: readonly Change[],
  ): void {
    for (const { after, number, before } of changes) {
      if (after !== undefined) continue;
      const { first, end } = flatEntriesOf(
        table,
        this.#network,
        before!.subnet,
      );
      const around = this.#around(before!.subnet);
      for (let at = first; at < end; at++) {
        if (words[at] === number + 1) words[at] = around;
      }
      this.#numbered[number] = undefined;
      this.#freeNumbers.push(number);
    }
    for (const { before, after } of changes) {
      if (after === undefined) continue;
      const entry = this.#peers.get(formatCidr(after.subnet))!;
      if (before === undefined) {
        entry.number = this.#freeNumbers.pop() ?? this.#numbered.length;
        this.#cover(words, table, after.subnet, entry.number);
      }
      this.#numbered[entry.number] = after;
      words[(table.peers + entry.number * PEER_BYTES) >> 2] = after.publicIp;
    }
    const addresses = new Set(
      changes.flatMap(({ before, after }) => [
        ...before ? [before.publicIp] : [],
        ...after ? [after.publicIp] : [],
      ]),
    );
    this.#changeAddresses(words, table, addresses);
  }

  /** The entries of a new peer, but for those of narrower subnets inside. */
  #cover(
    words: Uint32Array,
    table: TablePlan,
    subnet: Cidr,
    number: number,
  ): void {
    const { first, end } = flatEntriesOf(table, this.#network, subnet);
    for (let at = first; at < end; at++) {
      const holder = words[at] === 0
        ? undefined
        : this.#numbered[words[at]! - 1];
      if ((holder?.subnet.prefixLength ?? 0) <= subnet.prefixLength) {
        words[at] = number + 1;
      }
    }
  }

  /** The entry of the narrowest subnet around one. */
  #around({ address, prefixLength }: Cidr): number {
    for (let length = prefixLength - 1; length >= 0; length--) {
      if (!this.#lengths.has(length)) continue;
      const around = this.#peers.get(formatCidr(cidrOf(address, length)));
      // A new one is put over it afterwards.
      if (around !== undefined && around.number !== NO_NUMBER) {
        return around.number + 1;
      }
    }
    return 0;
  }

  /** Adds the present owners and removes the others. */
  #changeAddresses(
    words: Uint32Array,
    table: TablePlan,
    addresses: ReadonlySet<Ipv4>,
  ): void {
    const first = table.addresses >> 2;
    let end = first + this.#addressCount;
    const find = (address: Ipv4) => {
      const at = lowerBound(words, first, end, address);
      return { at, isThere: at < end && words[at] === address };
    };
    const held = [...addresses].filter((one) => this.#holders.has(one));
    // First, because there is room only for as many as there are peers.
    for (const address of addresses) {
      const { at, isThere } = find(address);
      if (!isThere || this.#holders.has(address)) continue;
      words.copyWithin(at, at + 1, end);
      end--;
    }
    for (const address of held) {
      const { at, isThere } = find(address);
      if (isThere) continue;
      words.copyWithin(at + 1, at, end);
      words[at] = address;
      end++;
    }
    writeHeader(words, table, this.#network, end - first);
  }
}

interface Change {
  readonly before?: Peer | undefined;
  readonly after?: Peer;
  readonly number: number;
}

/** Of a peer that is not in the table yet. */
const NO_NUMBER = -1;

/** Whether a copy of one at the other's place is right but for its header. */
function isSameForm(a: TablePlan, b: TablePlan): boolean {
  return a.flat && b.flat && a.shift === b.shift && a.bytes === b.bytes &&
    a.addresses - a.offset === b.addresses - b.offset;
}

function add<Key>(counts: Map<Key, number>, key: Key, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

/** The first place from `first` to `end` whose word is not below `value`. */
function lowerBound(
  words: Uint32Array,
  first: number,
  end: number,
  value: number,
): number {
  let [low, high] = [first, end];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (words[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
