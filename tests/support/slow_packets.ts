/**
 * What the data path does to packets, once more: slow, in plain steps, from the
 * RFCs and the virtio specification, with nothing of the real one in it.
 *
 * @module
 */

import { internetChecksum } from "../../net/checksum.ts";
import { type Cidr, contains } from "../../net/cidr.ts";
import { type Ipv4, toIpv4 } from "../../net/ipv4.ts";
import type { Peer } from "../../net/peer.ts";
import {
  PROTOCOLS,
  pseudoHeaderSum,
  setTransportChecksum,
  TCP_FLAGS,
} from "./packet_builder.ts";

/** virtio_net_hdr (virtio 1.2, 5.1.6), little endian. */
export interface VnetHeader {
  readonly needsChecksum: boolean;
  readonly gsoType: number;
  readonly headerBytes: number;
  readonly gsoBytes: number;
  readonly checksumStart: number;
  readonly checksumOffset: number;
}

export const VNET_BYTES = 10;
export const GSO_NONE = 0;
export const GSO_TCPV4 = 1;
export const GSO_UDP_L4 = 5;
export const GSO_ECN = 0x80;

/** What stands before a packet that is whole and finished. */
export const PLAIN: VnetHeader = {
  needsChecksum: false,
  gsoType: GSO_NONE,
  headerBytes: 0,
  gsoBytes: 0,
  checksumStart: 0,
  checksumOffset: 0,
};

/** The header's ten bytes. */
export function formatVnetHeader(header: VnetHeader): Uint8Array {
  const bytes = new Uint8Array(VNET_BYTES);
  const view = new DataView(bytes.buffer);
  bytes[0] = header.needsChecksum ? 1 : 0;
  bytes[1] = header.gsoType;
  view.setUint16(2, header.headerBytes, true);
  view.setUint16(4, header.gsoBytes, true);
  view.setUint16(6, header.checksumStart, true);
  view.setUint16(8, header.checksumOffset, true);
  return bytes;
}

/** The header that ten bytes say. */
export function parseVnetHeader(bytes: Uint8Array): VnetHeader {
  const copy = bytes.slice(0, VNET_BYTES);
  const view = new DataView(copy.buffer);
  return {
    needsChecksum: (copy[0]! & 1) !== 0,
    gsoType: copy[1]!,
    headerBytes: view.getUint16(2, true),
    gsoBytes: view.getUint16(4, true),
    checksumStart: view.getUint16(6, true),
    checksumOffset: view.getUint16(8, true),
  };
}

/**
 * The packets that a packet behind a virtio_net_hdr stands for, complete. Throws
 * where header and packet contradict each other.
 */
export function segment(
  vnet: VnetHeader,
  packet: Uint8Array,
): Uint8Array[] {
  if (vnet.gsoType === GSO_NONE) return [completeChecksum(vnet, packet)];
  const ipBytes = (packet[0]! & 15) * 4;
  const protocol = packet[9];
  const isTcp = (vnet.gsoType & ~GSO_ECN) === GSO_TCPV4 &&
    protocol === PROTOCOLS.tcp;
  if (!isTcp && !(vnet.gsoType === GSO_UDP_L4 && protocol === PROTOCOLS.udp)) {
    throw new Error(`GSO type ${vnet.gsoType} for protocol ${protocol}`);
  }
  const checksumOffset = isTcp ? 16 : 6;
  if (
    !vnet.needsChecksum || vnet.checksumStart !== ipBytes ||
    vnet.checksumOffset !== checksumOffset || vnet.gsoBytes === 0
  ) {
    throw new Error(`inconsistent ${JSON.stringify(vnet)}`);
  }
  const transportBytes = isTcp ? (packet[ipBytes + 12]! >> 4) * 4 : 8;
  const headerBytes = ipBytes + transportBytes;
  const headers = packet.slice(0, headerBytes);
  const payload = packet.slice(headerBytes);
  const packets: Uint8Array[] = [];
  for (let done = 0; done < payload.length; done += vnet.gsoBytes) {
    const part = payload.slice(done, done + vnet.gsoBytes);
    const isFirst = done === 0;
    const isLast = done + vnet.gsoBytes >= payload.length;
    const cut = new Uint8Array([...headers, ...part]);
    const view = new DataView(cut.buffer);
    view.setUint16(2, cut.length);
    view.setUint16(4, (view.getUint16(4) + packets.length) & 0xffff);
    if (isTcp) {
      view.setUint32(ipBytes + 4, (view.getUint32(ipBytes + 4) + done) >>> 0);
      if (!isLast) cut[ipBytes + 13]! &= ~(TCP_FLAGS.fin | TCP_FLAGS.psh);
      if (!isFirst) cut[ipBytes + 13]! &= ~TCP_FLAGS.cwr;
    } else {
      view.setUint16(ipBytes + 4, cut.length - ipBytes);
    }
    sealIpHeader(cut);
    setTransportChecksum(
      cut,
      checksumOffset,
      (sum) => isTcp ? sum : sum || 0xffff,
    );
    packets.push(cut);
  }
  return packets;
}

/** Does what VIRTIO_NET_HDR_F_NEEDS_CSUM asks for. */
export function completeChecksum(
  vnet: VnetHeader,
  packet: Uint8Array,
): Uint8Array {
  const complete = packet.slice();
  if (!vnet.needsChecksum) return complete;
  const covered = complete.subarray(vnet.checksumStart);
  const checksum = internetChecksum(covered) || 0xffff;
  covered[vnet.checksumOffset] = checksum >> 8;
  covered[vnet.checksumOffset + 1] = checksum & 255;
  return complete;
}

/** The packet after one hop. */
export function oneHopOn(packet: Uint8Array): Uint8Array {
  const next = packet.slice();
  next[8]! -= 1;
  sealIpHeader(next);
  return next;
}

/** Computes the header checksum. */
export function sealIpHeader(packet: Uint8Array): void {
  const header = packet.subarray(0, (packet[0]! & 15) * 4);
  header[10] = header[11] = 0;
  const checksum = internetChecksum(header);
  header[10] = checksum >> 8;
  header[11] = checksum & 255;
}

/** Whether the checksums of header, TCP and UDP hold. */
export function hasRightChecksums(packet: Uint8Array): boolean {
  const headerBytes = (packet[0]! & 15) * 4;
  if (internetChecksum(packet.subarray(0, headerBytes)) !== 0) return false;
  const transport = packet.subarray(headerBytes);
  if (packet[9] === PROTOCOLS.udp && transport[6] === 0 && transport[7] === 0) {
    return true;
  }
  if (packet[9] !== PROTOCOLS.tcp && packet[9] !== PROTOCOLS.udp) return true;
  return internetChecksum(
    transport,
    pseudoHeaderSum(packet, transport.length),
  ) === 0;
}

/** By what a datagram from the underlay is judged. */
export interface AdmissionRules {
  readonly peers: readonly Peer[];
  readonly subnet: Cidr;
  readonly senderCheck: "strict" | "count" | "off";
}

/** The counter of a received datagram: `rx.packets` when it may enter. */
export function fateOf(
  datagram: Uint8Array,
  sender: number,
  rules: AdmissionRules,
): string {
  if (datagram.length === 0) return "rx.drop.empty";
  if (datagram.length < 20) return "rx.drop.short";
  if (datagram[0]! >> 4 !== 4) return "rx.drop.notIpv4";
  const headerBytes = (datagram[0]! & 15) * 4;
  if (headerBytes < 20 || headerBytes > datagram.length) {
    return "rx.drop.badHeader";
  }
  if (((datagram[2]! << 8) | datagram[3]!) !== datagram.length) {
    return "rx.drop.badLength";
  }
  if (internetChecksum(datagram.subarray(0, headerBytes)) !== 0) {
    return "rx.drop.badChecksum";
  }
  if (rules.senderCheck === "strict") {
    const holder = holderOf(wordAt(datagram, 12), rules.peers);
    if (holder !== sender) {
      return rules.peers.some(({ publicIp }) => publicIp === sender)
        ? "rx.drop.wrongSource"
        : "rx.drop.unknownSender";
    }
  }
  if (!contains(rules.subnet, wordAt(datagram, 16))) {
    return "rx.drop.wrongDestination";
  }
  return datagram[8]! <= 1 ? "rx.drop.ttl" : "rx.packets";
}

/** The longest prefix's holder, by looking at every peer; the last of equals. */
export function holderOf(
  address: Ipv4,
  peers: readonly Peer[],
): Ipv4 | undefined {
  let best: Peer | undefined;
  for (const peer of peers) {
    if (!contains(peer.subnet, address)) continue;
    if (
      best === undefined ||
      peer.subnet.prefixLength >= best.subnet.prefixLength
    ) best = peer;
  }
  return best?.publicIp;
}

function wordAt(packet: Uint8Array, offset: number): Ipv4 {
  const [a, b, c, d] = packet.subarray(offset, offset + 4);
  return toIpv4(((a! << 24) | (b! << 16) | (c! << 8) | d!) >>> 0);
}
