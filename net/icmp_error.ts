/**
 * ICMP error messages (RFC 792, RFC 1191, RFC 1812).
 *
 * @module
 */

import { internetChecksum } from "./checksum.ts";
import { type Ipv4, ipv4FromBytes, isLoopback, isMulticast } from "./ipv4.ts";

/** The reason of an ICMP error. */
export type IcmpErrorKind =
  | { readonly kind: "net-unreachable" }
  | { readonly kind: "time-exceeded" }
  /** `mtuBytes`: the largest packet that would pass (RFC 1191). */
  | { readonly kind: "fragmentation-needed"; readonly mtuBytes: number };

/** RFC 1812 4.3.2.3: as much as fits into 576 bytes with the new headers. */
const MAX_QUOTED_BYTES = 576 - 20 - 8;
const ICMP = 1;
/**
 * The types that are errors; an error is never sent in response to an error.
 */
const ERROR_TYPES = new Set([3, 4, 5, 11, 12]);

/**
 * The sender of a packet, to which an error may be sent; `undefined` if RFC
 * 1122 3.2.2 forbids it: the packet is an ICMP error or a later fragment, or
 * one of its addresses is not that of a single host.
 *
 * @param packet One IPv4 packet, network byte order, at least its header.
 */
export function icmpErrorRecipient(packet: Uint8Array): Ipv4 | undefined {
  if (packet.length < 20) return undefined;
  const headerBytes = (packet[0]! & 15) * 4;
  const fragmentOffset = ((packet[6]! & 0x1f) << 8) | packet[7]!;
  if (fragmentOffset !== 0) return undefined;
  if (packet[9] === ICMP) {
    const type = packet[headerBytes];
    if (type === undefined || ERROR_TYPES.has(type)) return undefined;
  }
  const source = ipv4FromBytes(packet, 12);
  const destination = ipv4FromBytes(packet, 16);
  if (source >>> 24 === 0 || isLoopback(source) || isClassDOrE(source)) {
    return undefined;
  }
  return isClassDOrE(destination) || isLoopback(destination)
    ? undefined
    : source;
}

function isClassDOrE(address: Ipv4): boolean {
  return isMulticast(address) || address >>> 28 === 15;
}

/** Whether a packet forbids fragmentation (DF). */
export function forbidsFragmentation(packet: Uint8Array): boolean {
  return (packet[6]! & 0x40) !== 0;
}

/** A complete ICMP message about `packet`, with its checksum. */
export function icmpError(
  error: IcmpErrorKind,
  packet: Uint8Array,
): Uint8Array {
  const quoted = packet.subarray(0, MAX_QUOTED_BYTES);
  const message = new Uint8Array(8 + quoted.length);
  const view = new DataView(message.buffer);
  switch (error.kind) {
    case "net-unreachable":
      message[0] = 3;
      message[1] = 0;
      break;
    case "time-exceeded":
      message[0] = 11;
      message[1] = 0;
      break;
    case "fragmentation-needed":
      message[0] = 3;
      message[1] = 4;
      view.setUint16(6, error.mtuBytes);
      break;
  }
  message.set(quoted, 8);
  view.setUint16(2, internetChecksum(message));
  return message;
}
