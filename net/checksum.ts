/**
 * The Internet checksum (RFC 1071), for headers that are built one at a time.
 *
 * The data path has its own over whole packets (`backend/udp/tun/`); this one is
 * short enough to be obviously right and is what the tests compare it with.
 *
 * @module
 */

/**
 * The checksum of `bytes`, to be stored in network byte order in a field that
 * was zero in `bytes`. Over a packet with a valid checksum it is 0.
 *
 * @param initial A one's complement sum to start from, such as a pseudo header.
 */
export function internetChecksum(bytes: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let i = 0; i + 1 < bytes.length; i += 2) {
    sum += (bytes[i]! << 8) | bytes[i + 1]!;
  }
  if (bytes.length % 2 === 1) sum += bytes[bytes.length - 1]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}
