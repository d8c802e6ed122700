/**
 * What crosses the underlay, byte by byte: IPv4 packets with UDP in them, and
 * the Ethernet frames around them, right or wrong.
 *
 * @module
 */

import { internetChecksum } from "../../net/checksum.ts";
import { addressBytes } from "./address_bytes.ts";

/** What the packet says; the rest is right by itself. */
export interface OuterPacket {
  /** Dotted quads. */
  readonly source: string;
  readonly destination: string;
  readonly sourcePort?: number;
  readonly port: number;
  readonly payload: Uint8Array;
  /** 0 by default, as where DF is set. */
  readonly id?: number;
  readonly protocol?: number;
  /** IPv4 options, a multiple of four bytes. */
  readonly options?: Uint8Array;
  /** In bytes. */
  readonly totalLength?: number;
  readonly udpLength?: number;
  readonly badHeaderChecksum?: boolean;
  /**
   * What is in the UDP header's checksum: nothing (0, the default), a right one,
   * or the pseudo header's sum alone, for a device to finish.
   */
  readonly udpChecksum?: "none" | "right" | "unfinished";
}

const IP_HEADER_BYTES = 20;
const UDP_HEADER_BYTES = 8;
const UDP_PROTOCOL = 17;
const ICMP_PROTOCOL = 1;
const TTL = 64;
const IP_ETHERTYPE = 0x0800;
const VLAN_ETHERTYPE = 0x8100;
const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;

/** The bytes of the IPv4 packet. DF is set, as the data paths set it. */
export function outerPacket(packet: OuterPacket): Uint8Array {
  const { options = new Uint8Array(), payload } = packet;
  const headerBytes = IP_HEADER_BYTES + options.length;
  const udpBytes = UDP_HEADER_BYTES + payload.length;
  const bytes = new Uint8Array(headerBytes + udpBytes);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x40 | headerBytes / 4;
  view.setUint16(2, packet.totalLength ?? bytes.length);
  view.setUint16(4, packet.id ?? 0);
  view.setUint16(6, DONT_FRAGMENT);
  bytes[8] = TTL;
  bytes[9] = packet.protocol ?? UDP_PROTOCOL;
  bytes.set(addressBytes(packet.source), 12);
  bytes.set(addressBytes(packet.destination), 16);
  bytes.set(options, IP_HEADER_BYTES);
  setHeaderChecksum(bytes);
  if (packet.badHeaderChecksum) bytes[10]! ^= 1;
  view.setUint16(headerBytes, packet.sourcePort ?? packet.port);
  view.setUint16(headerBytes + 2, packet.port);
  view.setUint16(headerBytes + 4, packet.udpLength ?? udpBytes);
  bytes.set(payload, headerBytes + UDP_HEADER_BYTES);
  const udp = bytes.subarray(headerBytes);
  if (packet.udpChecksum === "right") {
    view.setUint16(
      headerBytes + 6,
      internetChecksum(
        new Uint8Array([...pseudoHeader(packet, udp), ...udp]),
      ) || 0xffff,
    );
  } else if (packet.udpChecksum === "unfinished") {
    const sum = ~internetChecksum(pseudoHeader(packet, udp)) & 0xffff;
    view.setUint16(headerBytes + 6, sum);
  }
  return bytes;
}

/**
 * An IPv4 packet cut into fragments of `payloadBytes` each, a multiple of 8, in
 * order. RFC 791, section 3.2.
 */
export function fragmentsOf(
  packet: Uint8Array,
  payloadBytes: number,
): Uint8Array[] {
  const headerBytes = (packet[0]! & 15) * 4;
  const payload = packet.subarray(headerBytes);
  const fragments: Uint8Array[] = [];
  for (let at = 0; at < payload.length; at += payloadBytes) {
    const part = payload.subarray(at, at + payloadBytes);
    const more = at + part.length < payload.length;
    fragments.push(fragment(packet.subarray(0, headerBytes), part, at, more));
  }
  return fragments;
}

/** One fragment with the given header, at `offsetBytes` of the whole payload. */
export function fragment(
  header: Uint8Array,
  part: Uint8Array,
  offsetBytes: number,
  more: boolean,
): Uint8Array {
  const bytes = new Uint8Array([...header, ...part]);
  const view = new DataView(bytes.buffer);
  view.setUint16(2, bytes.length);
  view.setUint16(6, (more ? MORE_FRAGMENTS : 0) | offsetBytes / 8);
  setHeaderChecksum(bytes);
  return bytes;
}

/** RFC 792: destination unreachable, fragmentation needed; RFC 1191: the MTU. */
export function fragmentationNeeded({ from, to, about, mtuBytes }: {
  readonly from: string;
  readonly to: string;
  readonly about: Pick<
    OuterPacket,
    "source" | "destination" | "port" | "sourcePort" | "protocol"
  >;
  readonly mtuBytes: number;
}): Uint8Array {
  const quoted = outerPacket({
    ...about,
    payload: new Uint8Array(),
    totalLength: 1_500,
  });
  const message = new Uint8Array([
    ...[3, 4, 0, 0, 0, 0, mtuBytes >> 8, mtuBytes & 0xff],
    ...quoted,
  ]);
  const sum = internetChecksum(message);
  message.set([sum >> 8, sum & 0xff], 2);
  // An IPv4 packet whose UDP header is the message's first eight bytes.
  const packet = outerPacket({
    source: from,
    destination: to,
    port: 0,
    protocol: ICMP_PROTOCOL,
    payload: message.subarray(8),
  });
  packet.set(message, 20);
  return packet;
}

/** Where a frame goes, and the VLANs around it, the outermost first. */
export interface FrameOptions {
  /** `aa:bb:cc:dd:ee:ff` */
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly vlans?: readonly number[];
  /** Bytes after the packet, as a device's padding. */
  readonly paddingBytes?: number;
}

/** An Ethernet frame with an IPv4 packet in it. */
export function ethernetFrame(
  packet: Uint8Array,
  { destinationMac, paddingBytes = 0, sourceMac, vlans = [] }: FrameOptions,
): Uint8Array {
  const tags = vlans.flatMap((id) => [...word(VLAN_ETHERTYPE), ...word(id)]);
  return new Uint8Array([
    ...mac(destinationMac),
    ...mac(sourceMac),
    ...tags,
    ...word(IP_ETHERTYPE),
    ...packet,
    ...new Uint8Array(paddingBytes),
  ]);
}

function setHeaderChecksum(packet: Uint8Array): void {
  packet[10] = packet[11] = 0;
  const header = packet.subarray(0, (packet[0]! & 15) * 4);
  packet.set(word(internetChecksum(header)), 10);
}

/** RFC 768. */
function pseudoHeader(
  { destination, source }: OuterPacket,
  udp: Uint8Array,
): Uint8Array {
  return new Uint8Array([
    ...addressBytes(source),
    ...addressBytes(destination),
    ...word(UDP_PROTOCOL),
    ...word(udp.length),
  ]);
}

function word(value: number): [number, number] {
  return [value >> 8, value & 0xff];
}

function mac(text: string): number[] {
  return text.split(":").map((byte) => parseInt(byte, 16));
}
