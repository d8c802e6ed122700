// What the two directions have in common: counters, iovecs, the TTL.

import { COUNTER_BYTES, COUNTERS, TX_IOV } from "../layout";
import { load16, store16 } from "./checksum.as";

/** Address of the memory's first byte in the process, for iovecs. */
let memoryBase: u64 = 0;

export function setMemoryBase(base: u64): void {
  memoryBase = base;
}

export function count(counter: u32, by: u64): void {
  const at: usize = COUNTERS + counter * COUNTER_BYTES;
  store<u64>(at, load<u64>(at) + by);
}

/** Writes a `struct iovec` for `bytes` bytes at offset `data` of the memory. */

export function storeIovec(at: usize, data: usize, bytes: u32): void {
  store<u64>(at, memoryBase + <u64> data);
  store<u64>(at, <u64> bytes, 8);
}

/**
 * Decrements the TTL and corrects the header checksum (RFC 1624, equation 3;
 * RFC 1141 is wrong for 0xffff).
 */

export function decrementTtl(ip: usize): void {
  const before = load16(ip, 8);
  const after = before - 0x100;
  store16(ip, after, 8);
  let s: u32 = (~load16(ip, 10) & 0xffff) + (~before & 0xffff) + after;
  s = (s & 0xffff) + (s >> 16);
  s = (s & 0xffff) + (s >> 16);
  store16(ip, ~s & 0xffff, 10);
}

/** The iovec number `index` of a batch: `bytes` bytes at `data`. */
export function gather(index: u32, data: usize, bytes: u32): void {
  storeIovec(TX_IOV + (index << 4), data, bytes);
}
