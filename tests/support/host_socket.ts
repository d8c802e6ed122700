/**
 * What a host hands to a UDP socket when a frame arrives: the kernel's checks,
 * once more in plain steps. What it does not hand over is dropped, answered or
 * somebody else's.
 *
 * Sources: `net/ethernet/eth.c`, `net/ipv4/ip_input.c`, `net/ipv4/route.c`,
 * `net/ipv4/udp.c`, RFC 768, RFC 791.
 *
 * @module
 */

import type { SentPacket } from "../../backend/udp/ebpf/slow_path.ts";
import { internetChecksum } from "../../net/checksum.ts";
import {
  type Ipv4,
  ipv4FromBytes,
  isLoopback,
  isMulticast,
} from "../../net/ipv4.ts";

/** The socket, bound to one address of the device. */
export interface HostSocket {
  /** Six bytes, of the device. */
  readonly mac: Uint8Array;
  readonly address: Ipv4;
  readonly port: number;
}

const ETHERNET_BYTES = 14;
const VLAN_TAG_BYTES = 4;
const IPV4_TYPE = 0x0800;
const VLAN_TYPE = 0x8100;
/** The VLAN's number, without the priority. */
const VLAN_ID_MASK = 0x0fff;
const IP_BYTES = 20;
const UDP_BYTES = 8;
const UDP_PROTOCOL = 17;
const FRAGMENT_MASK = 0x3fff;
const BROADCAST = 0xffff_ffff;
/** RFC 791, 3.1. */
const OPTION = {
  END: 0,
  NO_OPERATION: 1,
  LOOSE_SOURCE_ROUTE: 131,
  STRICT_SOURCE_ROUTE: 137,
} as const;

/**
 * The datagram that the socket gets. A fragment alone is not one yet. What the
 * kernel looks for inside of single IP options (record route, timestamp) is not
 * looked for: such options are taken here.
 */
export function socketReceives(
  frame: Uint8Array,
  socket: HostSocket,
): SentPacket | undefined {
  const packet = packetOf(frame, socket.mac);
  if (packet === undefined) return undefined;
  const ip = intactPacket(packet);
  if (ip === undefined) return undefined;
  const view = viewOf(ip);
  const headerBytes = (ip[0]! & 15) * 4;
  const source = ipv4FromBytes(ip, 12);
  if (ipv4FromBytes(ip, 16) !== socket.address) return undefined;
  if (isMartian(source, socket)) return undefined;
  if ((view.getUint16(6) & FRAGMENT_MASK) !== 0) return undefined;
  if (ip[9] !== UDP_PROTOCOL) return undefined;
  const datagram = intactDatagram(ip.subarray(headerBytes), ip);
  if (datagram === undefined) return undefined;
  const udp = viewOf(datagram);
  if (udp.getUint16(2) !== socket.port) return undefined;
  return {
    payload: datagram.slice(UDP_BYTES),
    address: source,
    port: udp.getUint16(0),
  };
}

/** Whether no packet from elsewhere can have this source. */
export function isMartian(source: Ipv4, { address }: HostSocket): boolean {
  return source >>> 24 === 0 || isLoopback(source) || isMulticast(source) ||
    source === BROADCAST || source === address;
}

/** Whether the datagram has a checksum, which its pseudo header does not fit. */
export function isDamaged(datagram: Uint8Array, packet: Uint8Array): boolean {
  if (viewOf(datagram).getUint16(6) === 0) return false;
  const pseudo = Uint8Array.of(
    ...packet.subarray(12, 20),
    0,
    UDP_PROTOCOL,
    datagram.length >> 8,
    datagram.length & 0xff,
  );
  return internetChecksum(Uint8Array.of(...pseudo, ...datagram)) !== 0;
}

/** What is in a frame for this host; a tag of VLAN 0 says its priority only. */
function packetOf(frame: Uint8Array, mac: Uint8Array): Uint8Array | undefined {
  const isForGroup = (frame[0]! & 1) !== 0;
  const isForDevice = mac.every((byte, index) => frame[index] === byte);
  if (!isForGroup && !isForDevice) return undefined;
  const view = viewOf(frame);
  let typeAt = ETHERNET_BYTES - 2;
  if (view.getUint16(typeAt) === VLAN_TYPE) {
    if (frame.length < ETHERNET_BYTES + VLAN_TAG_BYTES) return undefined;
    if ((view.getUint16(typeAt + 2) & VLAN_ID_MASK) !== 0) return undefined;
    typeAt += VLAN_TAG_BYTES;
  }
  if (view.getUint16(typeAt) !== IPV4_TYPE) return undefined;
  return frame.subarray(typeAt + 2);
}

/** `ip_rcv_core`: the packet without padding. */
function intactPacket(packet: Uint8Array): Uint8Array | undefined {
  if (packet.length < IP_BYTES) return undefined;
  const headerBytes = (packet[0]! & 15) * 4;
  if (packet[0]! >> 4 !== 4 || headerBytes < IP_BYTES) return undefined;
  if (headerBytes > packet.length) return undefined;
  const header = packet.subarray(0, headerBytes);
  if (internetChecksum(header) !== 0) return undefined;
  const totalBytes = viewOf(packet).getUint16(2);
  if (totalBytes > packet.length || totalBytes < headerBytes) return undefined;
  if (!areTaken(header.subarray(IP_BYTES))) return undefined;
  return packet.subarray(0, totalBytes);
}

/** `__ip_options_compile` and `ip_rcv_options`, which takes no source route. */
function areTaken(options: Uint8Array): boolean {
  for (let at = 0; at < options.length;) {
    const kind = options[at]!;
    if (kind === OPTION.END) return true;
    if (kind === OPTION.NO_OPERATION) {
      at++;
      continue;
    }
    const bytes = options[at + 1] ?? 0;
    if (bytes < 2 || at + bytes > options.length) return false;
    if (
      kind === OPTION.LOOSE_SOURCE_ROUTE || kind === OPTION.STRICT_SOURCE_ROUTE
    ) return false;
    at += bytes;
  }
  return true;
}

/** `__udp4_lib_rcv`: as long as the UDP header says. */
function intactDatagram(
  content: Uint8Array,
  packet: Uint8Array,
): Uint8Array | undefined {
  if (content.length < UDP_BYTES) return undefined;
  const bytes = viewOf(content).getUint16(4);
  if (bytes < UDP_BYTES || bytes > content.length) return undefined;
  const datagram = content.subarray(0, bytes);
  return isDamaged(datagram, packet) ? undefined : datagram;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
