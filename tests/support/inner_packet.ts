/**
 * IPv4 packets with UDP in them, as hosts hand them to the overlay.
 *
 * @module
 */

import { internetChecksum } from "../../net/checksum.ts";
import { addressBytes } from "./address_bytes.ts";

/** What a packet says; the rest is right by itself. */
export interface InnerPacket {
  /** Dotted quads. */
  readonly source: string;
  readonly destination: string;
  readonly port?: number;
  readonly payload?: Uint8Array;
  readonly ttl?: number;
  readonly version?: number;
  /** Header length in words of four bytes. */
  readonly headerWords?: number;
  /** In bytes. */
  readonly totalLength?: number;
  /** Makes the header checksum wrong. */
  readonly badChecksum?: boolean;
  /** 0, which says that none was computed, by default. */
  readonly udpChecksum?: "none" | "right" | "wrong";
}

const IP_HEADER_BYTES = 20;
const UDP_HEADER_BYTES = 8;
const UDP_PROTOCOL = 17;

/** The bytes on the wire. */
export function innerPacket(packet: InnerPacket): Uint8Array {
  const { payload = new Uint8Array(), port = 9 } = packet;
  const udpBytes = UDP_HEADER_BYTES + payload.length;
  const bytes = new Uint8Array(IP_HEADER_BYTES + udpBytes);
  const view = new DataView(bytes.buffer);
  bytes[0] = (packet.version ?? 4) << 4 | (packet.headerWords ?? 5);
  view.setUint16(2, packet.totalLength ?? bytes.length);
  bytes[8] = packet.ttl ?? 62;
  bytes[9] = UDP_PROTOCOL;
  bytes.set(addressBytes(packet.source), 12);
  bytes.set(addressBytes(packet.destination), 16);
  const checksum = internetChecksum(bytes.subarray(0, IP_HEADER_BYTES));
  view.setUint16(10, packet.badChecksum ? checksum ^ 0x0101 : checksum);
  view.setUint16(IP_HEADER_BYTES, port);
  view.setUint16(IP_HEADER_BYTES + 2, port);
  view.setUint16(IP_HEADER_BYTES + 4, udpBytes);
  bytes.set(payload, IP_HEADER_BYTES + UDP_HEADER_BYTES);
  const { udpChecksum = "none" } = packet;
  if (udpChecksum !== "none") {
    const right = udpChecksumOf(bytes);
    view.setUint16(
      IP_HEADER_BYTES + 6,
      udpChecksum === "right" ? right : right ^ 0x0101,
    );
  }
  return bytes;
}

/** RFC 768: with a pseudo header, and never 0. */
function udpChecksumOf(packet: Uint8Array): number {
  const udp = packet.subarray(IP_HEADER_BYTES);
  const summed = new Uint8Array([
    ...packet.subarray(12, IP_HEADER_BYTES),
    ...[0, UDP_PROTOCOL, udp.length >> 8, udp.length & 0xff],
    ...udp,
  ]);
  return internetChecksum(summed) || 0xffff;
}
