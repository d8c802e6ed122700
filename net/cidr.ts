/**
 * IPv4 networks in CIDR notation (RFC 4632).
 *
 * @module
 */

import { formatIpv4, type Ipv4, parseIpv4, toIpv4 } from "./ipv4.ts";

/** A network: `address` has no bits set beyond `prefixLength` (0..32). */
export interface Cidr {
  readonly address: Ipv4;
  readonly prefixLength: number;
}

/** The mask of a prefix length: `24` is `255.255.255.0`. */
export function netmask(prefixLength: number): Ipv4 {
  return toIpv4(prefixLength === 0 ? 0 : -1 << (32 - prefixLength));
}

/** The network of `prefixLength` bits that `address` lies in. */
export function cidrOf(address: Ipv4, prefixLength: number): Cidr {
  return { address: toIpv4(address & netmask(prefixLength)), prefixLength };
}

/**
 * Reads `a.b.c.d/len` and masks the host bits off, as Go's `net.ParseCIDR`
 * does for flannel (compat 2.1).
 *
 * @returns the network, or `undefined` when `text` is not one.
 */
export function parseCidr(text: string): Cidr | undefined {
  const parts = parseAddressWithPrefix(text);
  return parts && cidrOf(parts.address, parts.prefixLength);
}

/** Reads `a.b.c.d/len` and keeps the host bits, as in `FLANNEL_SUBNET`. */
export function parseAddressWithPrefix(
  text: string,
): { address: Ipv4; prefixLength: number } | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return undefined;
  const address = parseIpv4(text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (address === undefined || !/^(0|[1-9][0-9]?)$/.test(length)) {
    return undefined;
  }
  const prefixLength = Number(length);
  return prefixLength > 32 ? undefined : { address, prefixLength };
}

/** `a.b.c.d/len`. */
export function formatCidr(cidr: Cidr): string {
  return `${formatIpv4(cidr.address)}/${cidr.prefixLength}`;
}

/** The number of addresses in a network: 2^(32 - prefixLength). */
export function cidrSize(cidr: Cidr): number {
  return 2 ** (32 - cidr.prefixLength);
}

/** The last address of a network. */
export function lastAddress(cidr: Cidr): Ipv4 {
  return toIpv4(cidr.address + cidrSize(cidr) - 1);
}

/** Whether `address` lies in `cidr`. */
export function contains(cidr: Cidr, address: Ipv4): boolean {
  return toIpv4(address & netmask(cidr.prefixLength)) === cidr.address;
}

/** Whether every address of `part` lies in `whole`. */
export function isWithin(part: Cidr, whole: Cidr): boolean {
  return part.prefixLength >= whole.prefixLength &&
    contains(whole, part.address);
}

/** Whether the two networks have an address in common. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.prefixLength <= b.prefixLength
    ? contains(a, b.address)
    : contains(b, a.address);
}

/** Whether the two are the same network. */
export function equalCidr(a: Cidr, b: Cidr): boolean {
  return a.address === b.address && a.prefixLength === b.prefixLength;
}
