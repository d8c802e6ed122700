// One's complement sums (RFC 1071), 64 bytes at a time.
//
// Sums are of native little-endian words, which a one's complement sum allows
// (RFC 1071, section 2B): only `fold` swaps the bytes, once.

/**
 * Sum of `bytes` bytes at `at`, below 2^48; an odd last byte counts as the low one.
 *
 * SIMD has no addition with carry. So each 64-bit word is added whole, modulo
 * 2^64, and its upper half once more by itself: with the sum of the upper halves
 * known, that of the lower ones follows from the first. That is three operations
 * for 16 bytes, where to widen both halves takes four.
 */
export function sum(at: usize, bytes: usize): u64 {
  let whole: v128 = i64x2.splat(0);
  let upper: v128 = i64x2.splat(0);
  let i: usize = 0;
  const end = bytes & ~63;
  while (i < end) {
    const a = v128.load(at + i);
    const b = v128.load(at + i, 16);
    const c = v128.load(at + i, 32);
    const d = v128.load(at + i, 48);
    whole = i64x2.add(whole, i64x2.add(i64x2.add(a, b), i64x2.add(c, d)));
    upper = i64x2.add(
      upper,
      i64x2.add(
        i64x2.add(i64x2.shr_u(a, 32), i64x2.shr_u(b, 32)),
        i64x2.add(i64x2.shr_u(c, 32), i64x2.shr_u(d, 32)),
      ),
    );
    i += 64;
  }
  const wholeSum: u64 = i64x2.extract_lane(whole, 0) +
    i64x2.extract_lane(whole, 1);
  const upperSum: u64 = i64x2.extract_lane(upper, 0) +
    i64x2.extract_lane(upper, 1);
  let s = upperSum + (wholeSum - (upperSum << 32));
  while (i + 4 <= bytes) {
    s += <u64> load<u32>(at + i);
    i += 4;
  }
  if (i + 2 <= bytes) {
    s += <u64> load<u16>(at + i);
    i += 2;
  }
  if (i < bytes) s += <u64> load<u8>(at + i);
  return s;
}

/** A sum brought down to 16 bits, in network byte order. */
export function fold(s: u64): u32 {
  s = (s & 0xffffffff) + (s >> 32);
  s = (s & 0xffffffff) + (s >> 32);
  let t = <u32> (s & 0xffff) + <u32> (s >> 16);
  t = (t & 0xffff) + (t >> 16);
  t = (t & 0xffff) + (t >> 16);
  return ((t & 0xff) << 8) | (t >> 8);
}

/** What a TCP or UDP checksum adds for the addresses, protocol and length. */
export function pseudoHeaderSum(ip: usize, protocol: u32, bytes: u32): u64 {
  // Protocol and length are network-order 16-bit words, seen by a
  // little-endian reader: their bytes change places.
  return <u64> load<u32>(ip, 12) + <u64> load<u32>(ip, 16) +
    <u64> (protocol << 8) + <u64> (((bytes & 0xff) << 8) | (bytes >> 8));
}

/** Writes the header checksum of the IPv4 header at `ip`. */
export function sealIpHeader(ip: usize, headerBytes: u32): void {
  store<u16>(ip, 0, 10);
  store16(ip, fold(sum(ip, headerBytes)) ^ 0xffff, 10);
}

/** Network-order 16-bit load. */

export function load16(at: usize, offset: usize): u32 {
  return <u32> bswap<u16>(load<u16>(at + offset));
}

/** Network-order 32-bit load. */

export function load32(at: usize, offset: usize): u32 {
  return bswap<u32>(load<u32>(at + offset));
}

/** Network-order 16-bit store. */

export function store16(at: usize, value: u32, offset: usize): void {
  store<u16>(at + offset, bswap<u16>(<u16> value));
}

/** Network-order 32-bit store. */

export function store32(at: usize, value: u32, offset: usize): void {
  store<u32>(at + offset, bswap<u32>(value));
}
