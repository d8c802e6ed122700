/**
 * `struct sockaddr_in`, linux/in.h.
 *
 * @module
 */

import { ipv4ToBytes, parseIpv4 } from "../../net/ipv4.ts";

/** The sixteen bytes of an IPv4 address and a port. */
export function socketAddress(
  address: string,
  port: number,
): Uint8Array<ArrayBuffer> {
  const ip = parseIpv4(address);
  if (ip === undefined) {
    throw new RangeError(
      `Cannot use the address: it must be a dotted quad: it is ${address}`,
    );
  }
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  bytes.set(ipv4ToBytes(ip), 4);
  return bytes;
}

/** linux/socket.h. */
export const AF_INET = 2;
/** linux/net.h. */
export const SOCK_DGRAM = 2;
