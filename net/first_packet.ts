/**
 * Builds the first packet of a new connection, such as a firewall must see it.
 *
 * @module
 */

import { internetChecksum } from "./checksum.ts";
import { type Ipv4, ipv4ToBytes } from "./ipv4.ts";

/** See the module. */
export interface FirstPacket {
  readonly source: Ipv4;
  readonly destination: Ipv4;
  /** An echo request, a SYN or a datagram. */
  readonly protocol: 1 | 6 | 17;
  /** The ports, in that order; of an echo request, identifier and number. */
  readonly ports: readonly [source: number, destination: number];
  readonly ttl: number;
  /** 1 to 65,535: the kernel replaces 0. */
  readonly id: number;
  /** IPv4 header included. Smaller ones than the headers are as large as these. */
  readonly sizeBytes: number;
}

const IP_BYTES = 20;
const DONT_FRAGMENT = 0x4000;
const HEADER_BYTES = { 1: 8, 6: 20, 17: 8 } as const;
const CHECKSUM_OFFSET = { 1: 2, 6: 16, 17: 6 } as const;
const ECHO_REQUEST = 8;
const SYN = 0x5002;
const WINDOW = 64_240;

/** DF is set, the data is zeros, and all checksums are right (RFC 791, 792, 768, 9293). */
export function buildFirstPacket(packet: FirstPacket): Uint8Array<ArrayBuffer> {
  const { destination, id, ports, protocol, sizeBytes, source, ttl } = packet;
  const bytes = new Uint8Array(
    Math.max(sizeBytes, IP_BYTES + HEADER_BYTES[protocol]),
  );
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x45);
  view.setUint16(2, bytes.length);
  view.setUint16(4, id);
  view.setUint16(6, DONT_FRAGMENT);
  view.setUint8(8, ttl);
  view.setUint8(9, protocol);
  bytes.set(ipv4ToBytes(source), 12);
  bytes.set(ipv4ToBytes(destination), 16);
  view.setUint16(10, internetChecksum(bytes.subarray(0, IP_BYTES)));
  const transportBytes = bytes.length - IP_BYTES;
  switch (protocol) {
    case 1:
      view.setUint8(IP_BYTES, ECHO_REQUEST);
      break;
    case 6:
      view.setUint16(IP_BYTES + 12, SYN);
      view.setUint16(IP_BYTES + 14, WINDOW);
      break;
    case 17:
      view.setUint16(IP_BYTES + 4, transportBytes);
  }
  const portsAt = IP_BYTES + (protocol === 1 ? 4 : 0);
  view.setUint16(portsAt, ports[0]);
  view.setUint16(portsAt + 2, ports[1]);
  const pseudoHeader = protocol === 1
    ? 0
    : sumOf(bytes.subarray(12, IP_BYTES)) + protocol + transportBytes;
  const checksum = internetChecksum(bytes.subarray(IP_BYTES), pseudoHeader);
  view.setUint16(
    IP_BYTES + CHECKSUM_OFFSET[protocol],
    // In UDP, 0 means that there is none.
    protocol === 17 ? checksum || 0xffff : checksum,
  );
  return bytes;
}

function sumOf(bytes: Uint8Array): number {
  return ~internetChecksum(bytes) & 0xffff;
}
