// TUN to UDP: find the peer, decrement the TTL, complete checksums, segment
// super-packets.
//
// Layouts: virtio_net_hdr (virtio spec 5.1.6), IPv4 (RFC 791), TCP (RFC 9293),
// UDP (RFC 768).

import {
  MAX_SEND_BYTES,
  RESULT_CUT_BYTES,
  RESULT_PEER_ADDRESS,
  RESULT_SEGMENT_BYTES,
  TRANSMIT_DROP,
  TRANSMIT_NO_PEER,
  TRANSMIT_SINGLE,
  TRANSMIT_SUPER,
  TRANSMIT_TTL_EXCEEDED,
  TX_DROP_BAD_HEADER,
  TX_DROP_BAD_OFFLOAD,
  TX_DROP_NO_PEER,
  TX_DROP_NOT_IPV4,
  TX_DROP_SHORT,
  TX_DROP_TTL,
  TX_HEADER_STRIDE,
  TX_HEADERS,
  TX_SUPER_PACKETS,
} from "../layout";
import {
  fold,
  load16,
  load32,
  pseudoHeaderSum,
  store16,
  store32,
  sum,
} from "./checksum.as";
import { peerOf } from "./peers.as";
import { count, decrementTtl, gather, recordDrop } from "./shared.as";

const NEEDS_CSUM: u32 = 1;
const GSO_TCPV4: u32 = 1;
const GSO_UDP_L4: u32 = 5;
const GSO_ECN: u32 = 0x80;

const TCP: u32 = 6;
const UDP: u32 = 17;
const FIN_PSH: u32 = 0x09;
const CWR: u32 = 0x80;

// The super-packet that is being cut.
let superIp: usize = 0;
let ipHeaderBytes: u32 = 0;
let headerBytes: u32 = 0;
let payloadBytes: u32 = 0;
let gsoBytes: u32 = 0;
let done: u32 = 0;
let segment: u32 = 0;
let protocol: u32 = 0;
let ipSum: u64 = 0;
let transportSum: u64 = 0;

/**
 * Looks at the packet of `bytes` bytes at `ip` that was read from the TUN with
 * the virtio_net_hdr at `vnet`, and makes it ready to be sent. Returns one of
 * TRANSMIT_*; the peer is in RESULT_PEER_ADDRESS.
 */
export function transmit(vnet: usize, ip: usize, bytes: u32): u32 {
  if (bytes < 20) return drop(TX_DROP_SHORT, ip, bytes);
  const first: u32 = load<u8>(ip);
  if (first >> 4 != 4) return drop(TX_DROP_NOT_IPV4, ip, bytes);
  const ihl = (first & 15) << 2;
  if (ihl < 20 || ihl > bytes || load16(ip, 2) != bytes) {
    return drop(TX_DROP_BAD_HEADER, ip, bytes);
  }
  const peer = peerOf(load32(ip, 16));
  if (peer == 0) {
    drop(TX_DROP_NO_PEER, ip, bytes);
    return TRANSMIT_NO_PEER;
  }
  if (load<u8>(ip, 8) <= 1) {
    drop(TX_DROP_TTL, ip, bytes);
    return TRANSMIT_TTL_EXCEEDED;
  }
  decrementTtl(ip);
  store<u32>(RESULT_PEER_ADDRESS, peer);

  const gso: u32 = load<u8>(vnet, 1);
  const start: u32 = load<u16>(vnet, 6);
  const offset: u32 = load<u16>(vnet, 8);
  if (gso == 0) {
    if (load<u8>(vnet) & NEEDS_CSUM) {
      if (start < ihl || start + offset + 2 > bytes) {
        return drop(TX_DROP_BAD_OFFLOAD, ip, bytes);
      }
      // The field holds the pseudo header's sum already.
      const c = fold(sum(ip + start, bytes - start)) ^ 0xffff;
      store16(ip + start, c == 0 ? 0xffff : c, offset);
    }
    return TRANSMIT_SINGLE;
  }
  return beginSuper(ip, bytes, ihl, gso & ~GSO_ECN, load<u16>(vnet, 4));
}

function beginSuper(
  ip: usize,
  bytes: u32,
  ihl: u32,
  gsoType: u32,
  gsoSize: u32,
): u32 {
  protocol = load<u8>(ip, 9);
  let transportBytes: u32 = 8;
  if (gsoType == GSO_TCPV4 && protocol == TCP) {
    if (ihl + 20 > bytes) return drop(TX_DROP_BAD_OFFLOAD, ip, bytes);
    transportBytes = (<u32> load<u8>(ip + ihl, 12) >> 4) << 2;
    if (transportBytes < 20) return drop(TX_DROP_BAD_OFFLOAD, ip, bytes);
  } else if (gsoType != GSO_UDP_L4 || protocol != UDP) {
    return drop(TX_DROP_BAD_OFFLOAD, ip, bytes);
  }
  headerBytes = ihl + transportBytes;
  if (
    headerBytes >= bytes || gsoSize == 0 ||
    headerBytes + gsoSize > <u32> MAX_SEND_BYTES
  ) {
    return drop(TX_DROP_BAD_OFFLOAD, ip, bytes);
  }
  superIp = ip;
  ipHeaderBytes = ihl;
  payloadBytes = bytes - headerBytes;
  gsoBytes = gsoSize;
  done = 0;
  segment = 0;

  // What all packets have in common is summed once: the fields that differ
  // (lengths, IP ID, sequence, flags) are taken out here and added per packet.
  ipSum = sum(ip, ihl) - <u64> load<u16>(ip, 2) - <u64> load<u16>(ip, 4) -
    <u64> load<u16>(ip, 10);
  const t = ip + ihl;
  transportSum = pseudoHeaderSum(ip, protocol, 0);
  if (protocol == TCP) {
    transportSum += sum(t, transportBytes) - <u64> load<u32>(t, 4) -
      <u64> load<u16>(t, 12) - <u64> load<u16>(t, 16);
  } else {
    transportSum += <u64> load<u32>(t); // the ports
  }
  store<u32>(RESULT_SEGMENT_BYTES, headerBytes + gsoSize);
  count(TX_SUPER_PACKETS, 1);
  return TRANSMIT_SUPER;
}

/**
 * Cuts up to `room` packets off the super-packet: their headers from the slot
 * number `packet` of TX_HEADERS on, their iovecs (two each) from number `iovec`
 * of TX_IOV on. Returns their number, 0 when nothing is left; RESULT_CUT_BYTES is
 * what they are together.
 */
export function cut(packet: u32, iovec: u32, room: u32): u32 {
  let header: usize = TX_HEADERS + packet * TX_HEADER_STRIDE;
  let packets: u32 = 0;
  let bytes: u32 = 0;
  while (done < payloadBytes && packets < room) {
    const payload = min<u32>(gsoBytes, payloadBytes - done);
    writeHeaders(header, payload);
    gather(iovec, header, headerBytes);
    gather(iovec + 1, superIp + headerBytes + done, payload);
    done += payload;
    segment++;
    packets++;
    bytes += headerBytes + payload;
    header += TX_HEADER_STRIDE;
    iovec += 2;
  }
  store<u32>(RESULT_CUT_BYTES, bytes);
  return packets;
}

function writeHeaders(header: usize, payload: u32): void {
  memory.copy(header, superIp, headerBytes);
  const length = headerBytes + payload;
  store16(header, length, 2);
  store16(header, load16(superIp, 4) + segment, 4);
  store16(
    header,
    fold(ipSum + <u64> load<u16>(header, 2) + <u64> load<u16>(header, 4)) ^
      0xffff,
    10,
  );
  const t = header + ipHeaderBytes;
  const transportLength = length - ipHeaderBytes;
  let s = transportSum + sum(superIp + headerBytes + done, payload) +
    <u64> bswap<u16>(<u16> transportLength);
  if (protocol == TCP) {
    store32(t, load32(superIp + ipHeaderBytes, 4) + done, 4);
    let flags: u32 = load<u8>(t, 13);
    if (done + payload < payloadBytes) flags &= ~FIN_PSH;
    if (segment != 0) flags &= ~CWR;
    store<u8>(t, <u8> flags, 13);
    s += <u64> load<u32>(t, 4) + <u64> load<u16>(t, 12);
    store16(t, fold(s) ^ 0xffff, 16);
  } else {
    store16(t, transportLength, 4);
    s += <u64> load<u16>(t, 4);
    const c = fold(s) ^ 0xffff;
    store16(t, c == 0 ? 0xffff : c, 6);
  }
}

function drop(reason: u32, ip: usize, bytes: u32): u32 {
  count(reason, 1);
  recordDrop(reason, ip, bytes, bytes, 0);
  return TRANSMIT_DROP;
}
