// What the two directions have in common: counters, iovecs, the TTL.

import {
  CONTROL_RECORD_DROPS,
  COUNTER_BYTES,
  COUNTERS,
  DROP_CAPTURE_BYTES,
  DROP_CAPTURED,
  DROP_DATA,
  DROP_INTERFACE,
  DROP_LENGTH,
  DROP_PEER,
  DROP_REASON,
  DROP_STRIDE,
  DROPS_FIRST,
  DROPS_MOST_TAKEN,
  DROPS_READ,
  DROPS_RX,
  DROPS_SLOTS,
  DROPS_TAKEN,
  DROPS_TX,
  DROPS_WRITTEN,
  RX_INTERFACE,
  RX_PACKETS,
  TX_IOV,
} from "../layout";
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

/**
 * Keeps the beginning of a packet that was dropped, if somebody listens and if
 * there is room: of `length` bytes, `bytes` are at `at`. `peer` is the other
 * host's address, or 0.
 */
export function recordDrop(
  reason: u32,
  at: usize,
  bytes: u32,
  length: u32,
  peer: u32,
): void {
  if (load<u32>(CONTROL_RECORD_DROPS) == 0) return;
  const taken: usize = DROPS_TAKEN + (<usize> reason << 2);
  const records = load<u32>(taken);
  if (records >= <u32> DROPS_MOST_TAKEN) return;
  const received = reason >= <u32> RX_PACKETS;
  const ring: usize = received ? DROPS_RX : DROPS_TX;
  const written = load<u32>(ring, DROPS_WRITTEN);
  const unread = written - atomic.load<u32>(ring, DROPS_READ);
  if (unread >= <u32> DROPS_SLOTS) return;
  store<u32>(taken, records + 1);
  const slot: usize = written % <u32> DROPS_SLOTS;
  const record: usize = ring + DROPS_FIRST + slot * DROP_STRIDE;
  const captured = min<u32>(bytes, <u32> DROP_CAPTURE_BYTES);
  store<u32>(record, reason, DROP_REASON);
  store<u32>(record, length, DROP_LENGTH);
  store<u32>(record, captured, DROP_CAPTURED);
  store<u32>(record, peer, DROP_PEER);
  store<u32>(record, received ? load<u32>(RX_INTERFACE) : 0, DROP_INTERFACE);
  memory.copy(record + DROP_DATA, at, captured);
  atomic.store<u32>(ring, written + 1, DROPS_WRITTEN);
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
