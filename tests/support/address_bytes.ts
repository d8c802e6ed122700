/**
 * Addresses for packets that tests write by hand.
 *
 * @module
 */

import { ipv4ToBytes, parseIpv4 } from "../../net/ipv4.ts";

/** The four bytes of `192.0.2.1`, network byte order. */
export function addressBytes(text: string): Uint8Array {
  const parsed = parseIpv4(text);
  if (parsed === undefined) throw new RangeError(`${text} is no address`);
  return ipv4ToBytes(parsed);
}
