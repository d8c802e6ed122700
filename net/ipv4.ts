/**
 * IPv4 addresses as 32-bit numbers.
 *
 * @module
 */

declare const ipv4Brand: unique symbol;

/**
 * An IPv4 address: an unsigned 32-bit number, the first octet in the highest
 * bits (`10.1.2.3` is `0x0a010203`), whatever the byte order of the machine.
 */
export type Ipv4 = number & { readonly [ipv4Brand]: true };

/** Any number, reduced to an address modulo 2^32. */
export function toIpv4(value: number): Ipv4 {
  return (value >>> 0) as Ipv4;
}

/**
 * Reads a dotted quad. Leading zeros, spaces, missing and additional parts are
 * refused, as modern Go does (compat 2.1).
 *
 * @returns the address, or `undefined` when `text` is not one.
 *
 * @example
 * ```ts
 * import { formatIpv4, parseIpv4 } from "./ipv4.ts";
 * const address = parseIpv4("10.1.27.0");
 * if (address !== undefined) console.log(formatIpv4(address));
 * ```
 */
export function parseIpv4(text: string): Ipv4 | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part)) return undefined;
    const octet = Number(part);
    if (octet > 255) return undefined;
    value = value * 256 + octet;
  }
  return toIpv4(value);
}

/** The dotted quad of an address. */
export function formatIpv4(address: Ipv4): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${
    (address >>> 8) & 255
  }.${address & 255}`;
}

/** Four bytes in network byte order. */
export function ipv4ToBytes(address: Ipv4): Uint8Array {
  return Uint8Array.of(
    address >>> 24,
    (address >>> 16) & 255,
    (address >>> 8) & 255,
    address & 255,
  );
}

/** The address in four bytes of network byte order at `offset`. */
export function ipv4FromBytes(bytes: Uint8Array, offset = 0): Ipv4 {
  return toIpv4(
    new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      .getUint32(offset),
  );
}

/** 169.254.0.0/16, RFC 3927. */
export function isLinkLocal(address: Ipv4): boolean {
  return (address >>> 16) === 0xa9fe;
}

/** 127.0.0.0/8, RFC 1122 3.2.1.3. */
export function isLoopback(address: Ipv4): boolean {
  return (address >>> 24) === 127;
}

/** 224.0.0.0/4, RFC 5771. */
export function isMulticast(address: Ipv4): boolean {
  return (address >>> 28) === 0xe;
}
