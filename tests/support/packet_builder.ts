/**
 * IPv4 packets with right lengths and checksums, from what they say.
 *
 * @module
 */

import { internetChecksum } from "../../net/checksum.ts";

/** Bits of the 16-bit word with flags and fragment offset. */
export const DF = 0x4000;
export const MF = 0x2000;
/** TCP flags. */
export const TCP_FLAGS = {
  fin: 0x01,
  syn: 0x02,
  rst: 0x04,
  psh: 0x08,
  ack: 0x10,
  urg: 0x20,
  ece: 0x40,
  cwr: 0x80,
} as const;

/** Protocol numbers. */
export const PROTOCOLS = { icmp: 1, tcp: 6, udp: 17 } as const;

/** An IPv4 header; addresses are in host byte order. */
export interface IpFields {
  readonly source: number;
  readonly destination: number;
  readonly ttl?: number;
  readonly tos?: number;
  readonly id?: number;
  /** DF, MF and the fragment offset; DF by default. */
  readonly fragment?: number;
  /** A multiple of four bytes. */
  readonly ipOptions?: Uint8Array;
}

/** A UDP datagram in a packet. */
export interface UdpFields extends IpFields {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
  /** Leaves the checksum out, as RFC 768 allows. */
  readonly withoutChecksum?: boolean;
}

/** A TCP segment in a packet. */
export interface TcpFields extends IpFields {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgement?: number;
  /** ACK by default. */
  readonly flags?: number;
  readonly window?: number;
  readonly urgent?: number;
  /** A multiple of four bytes. */
  readonly options?: Uint8Array;
  readonly payload: Uint8Array;
}

/** A packet of any protocol. */
export function ipv4Packet(
  fields: IpFields,
  protocol: number,
  content: Uint8Array,
): Uint8Array {
  const options = fields.ipOptions ?? new Uint8Array();
  const headerBytes = 20 + options.length;
  const packet = new Uint8Array(headerBytes + content.length);
  const view = new DataView(packet.buffer);
  packet[0] = 0x40 | (headerBytes / 4);
  packet[1] = fields.tos ?? 0;
  view.setUint16(2, packet.length);
  view.setUint16(4, fields.id ?? 0);
  view.setUint16(6, fields.fragment ?? DF);
  packet[8] = fields.ttl ?? 64;
  packet[9] = protocol;
  view.setUint32(12, fields.source);
  view.setUint32(16, fields.destination);
  packet.set(options, 20);
  view.setUint16(10, internetChecksum(packet.subarray(0, headerBytes)));
  packet.set(content, headerBytes);
  return packet;
}

/** A packet with a UDP datagram in it. */
export function udpPacket(fields: UdpFields): Uint8Array {
  const datagram = new Uint8Array(8 + fields.payload.length);
  const view = new DataView(datagram.buffer);
  view.setUint16(0, fields.sourcePort);
  view.setUint16(2, fields.destinationPort);
  view.setUint16(4, datagram.length);
  datagram.set(fields.payload, 8);
  const packet = ipv4Packet(fields, PROTOCOLS.udp, datagram);
  if (!fields.withoutChecksum) {
    setTransportChecksum(packet, 6, (sum) => sum || 0xffff);
  }
  return packet;
}

/** A packet with a TCP segment in it. */
export function tcpPacket(fields: TcpFields): Uint8Array {
  const options = fields.options ?? new Uint8Array();
  const headerBytes = 20 + options.length;
  const segment = new Uint8Array(headerBytes + fields.payload.length);
  const view = new DataView(segment.buffer);
  view.setUint16(0, fields.sourcePort);
  view.setUint16(2, fields.destinationPort);
  view.setUint32(4, fields.sequence);
  view.setUint32(8, fields.acknowledgement ?? 1);
  segment[12] = (headerBytes / 4) << 4;
  segment[13] = fields.flags ?? TCP_FLAGS.ack;
  view.setUint16(14, fields.window ?? 512);
  view.setUint16(18, fields.urgent ?? 0);
  segment.set(options, 20);
  segment.set(fields.payload, headerBytes);
  const packet = ipv4Packet(fields, PROTOCOLS.tcp, segment);
  setTransportChecksum(packet, 16, (sum) => sum);
  return packet;
}

/** `length` bytes that differ from place to place and from seed to seed. */
export function somePayload(length: number, seed = 0): Uint8Array {
  return Uint8Array.from(
    { length },
    (_, index) => (index * 7 + (index >> 8) * 31 + seed * 13) & 255,
  );
}

/** The sum of a pseudo header (RFC 9293 3.1), as a checksum's start. */
export function pseudoHeaderSum(packet: Uint8Array, bytes: number): number {
  const pseudo = new Uint8Array(12);
  pseudo.set(packet.subarray(12, 20));
  pseudo[9] = packet[9]!;
  new DataView(pseudo.buffer).setUint16(10, bytes);
  return ~internetChecksum(pseudo) & 0xffff;
}

/** Writes a TCP or UDP checksum at `offset` of the transport header. */
export function setTransportChecksum(
  packet: Uint8Array,
  offset: number,
  onZero: (checksum: number) => number,
): void {
  const headerBytes = (packet[0]! & 15) * 4;
  const transport = packet.subarray(headerBytes);
  transport[offset] = transport[offset + 1] = 0;
  const checksum = onZero(
    internetChecksum(transport, pseudoHeaderSum(packet, transport.length)),
  );
  transport[offset] = checksum >> 8;
  transport[offset + 1] = checksum & 255;
}
