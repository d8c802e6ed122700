// The peer table, as `peer_table.ts` lays it out.

import {
  PEER_BYTES,
  RANGE_BYTES,
  TABLE_ADDRESS_COUNT,
  TABLE_ADDRESSES,
  TABLE_COUNT,
  TABLE_ENTRIES,
  TABLE_KIND,
  TABLE_KIND_FLAT,
  TABLE_NETWORK,
  TABLE_PEERS,
  TABLE_SHIFT,
} from "../layout";

let table: usize = 0;

/** Uses the table at this offset from now on. */
export function useTable(at: u32): void {
  table = at;
}

/**
 * The underlay address of the host whose subnet has `address`, 0 when there is
 * none. Both in host byte order.
 */
export function peerOf(address: u32): u32 {
  const slot = load<u32>(table, TABLE_KIND) == TABLE_KIND_FLAT
    ? flatSlot(address)
    : rangeSlot(address);
  if (slot == 0) return 0;
  return load<u32>(load<u32>(table, TABLE_PEERS) + (slot - 1) * PEER_BYTES);
}

function flatSlot(address: u32): u32 {
  // An address below the network wraps to a huge index, so one comparison
  // covers both ends.
  const index = (address - load<u32>(table, TABLE_NETWORK)) >>>
    load<u32>(table, TABLE_SHIFT);
  if (index >= load<u32>(table, TABLE_COUNT)) return 0;
  return load<u32>(load<u32>(table, TABLE_ENTRIES) + (index << 2));
}

function rangeSlot(address: u32): u32 {
  const entries: usize = load<u32>(table, TABLE_ENTRIES);
  let low: u32 = 0;
  let high = load<u32>(table, TABLE_COUNT);
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = entries + middle * RANGE_BYTES;
    if (address < load<u32>(at)) high = middle;
    else if (address > load<u32>(at, 4)) low = middle + 1;
    else return load<u32>(at, 8);
  }
  return 0;
}

/** Whether any peer has this underlay address (a binary search). */
export function isPeerAddress(address: u32): bool {
  const addresses: usize = load<u32>(table, TABLE_ADDRESSES);
  let low: u32 = 0;
  let high = load<u32>(table, TABLE_ADDRESS_COUNT);
  while (low < high) {
    const middle = (low + high) >>> 1;
    const found = load<u32>(addresses + (middle << 2));
    if (found == address) return true;
    if (found < address) low = middle + 1;
    else high = middle;
  }
  return false;
}
