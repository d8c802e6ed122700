// UDP to TUN: check every datagram, decrement the TTL, merge packets into
// super-packets.
//
// The rules of merging are those of the kernel's GRO (net/ipv4/tcp_offload.c,
// net/ipv4/udp_offload.c): segmenting the result gives the same packets. A
// checksum is verified before its packet is merged, because the result carries
// a partial one that is not verified again.

import {
  CONFIG_COALESCE_TCP,
  CONFIG_COALESCE_UDP,
  CONFIG_MTU,
  CONFIG_OWN_MASK,
  CONFIG_OWN_SUBNET,
  CONFIG_SENDER_CHECK,
  ICMP_MAX_REQUESTS,
  ICMP_REQUESTS,
  MAX_SEGMENTS,
  RECORD_GSO_BYTES,
  RECORD_HEAD,
  RECORD_HEADER_BYTES,
  RECORD_IOV,
  RECORD_IOV_COUNT,
  RECORD_PACKETS,
  RECORD_PAYLOAD_BYTES,
  RECORD_VNET,
  RESULT_ICMP_COUNT,
  RX_BYTES,
  RX_DROP_BAD_CHECKSUM,
  RX_DROP_BAD_HEADER,
  RX_DROP_BAD_LENGTH,
  RX_DROP_EMPTY,
  RX_DROP_NOT_IPV4,
  RX_DROP_SHORT,
  RX_DROP_TTL,
  RX_DROP_UNKNOWN_SENDER,
  RX_DROP_WRONG_DESTINATION,
  RX_DROP_WRONG_SOURCE,
  RX_IOV,
  RX_LEGACY_SIGNALS,
  RX_MAX_RECORDS,
  RX_MERGE_AREAS,
  RX_MERGE_IOV,
  RX_MERGE_IOV_ENTRIES,
  RX_OPEN_FLOW_COUNT,
  RX_OPEN_FLOW_STRIDE,
  RX_OPEN_FLOWS,
  RX_PACKETS,
  RX_RECORD_STRIDE,
  RX_RECORDS,
  RX_SENDER_MISMATCH_PASSED,
  RX_SUPER_PACKETS,
  SENDER_CHECK_OFF,
  SENDER_CHECK_STRICT,
  VNET_HEADER_BYTES,
} from "../layout";
import { RECEIPT_BYTES, RECEIPT_MARK } from "../../legacy_signals";
import {
  fold,
  load16,
  load32,
  pseudoHeaderSum,
  sealIpHeader,
  store16,
  sum,
} from "./checksum.as";
import { isPeerAddress, peerOf } from "./peers.as";
import { count, decrementTtl, recordDrop, storeIovec } from "./shared.as";

const NEEDS_CSUM: u8 = 1;
const GSO_TCPV4: u8 = 1;
const GSO_UDP_L4: u8 = 5;
const TCP: u32 = 6;
const UDP: u32 = 17;
const ACK: u32 = 0x10;
const PSH: u32 = 0x08;
/** Place of a TCP header's checksum. */
const TCP_CHECKSUM: u32 = 16;
const DF: u32 = 0x4000;
/** MF and the fragment offset. */
const FRAGMENT: u32 = 0x3fff;
/** The IPv4 header of a packet that may be merged has no options. */
const IP: u32 = 20;
const MAX_PACKET_BYTES: u32 = 65535;

// An open flow: the record that its next packet may join.
const FLOW_RECORD: usize = 0; // offset of the record, 0: no flow here
const FLOW_ADDRESSES: usize = 8; // u64, as in the packet
const FLOW_PORTS: usize = 16; // u32, as in the packet
const FLOW_PROTOCOL: usize = 20;
const FLOW_NEXT_SEQUENCE: usize = 24;
const FLOW_VERIFIED: usize = 28; // whether the head's checksum was found right

let records: u32 = 0;
let mergeAreas: u32 = 0;
let nextFlow: u32 = 0;
let icmpRequests: u32 = 0;

/** Begins a round: the records of the round before are no longer needed. */
export function beginReceive(): void {
  records = 0;
  mergeAreas = 0;
  icmpRequests = 0;
  closeFlows();
}

/**
 * Looks at the datagrams of `segment` bytes each (the last may be shorter) in
 * the `bytes` bytes at `at`, which came from the underlay address `sender` (host
 * byte order), and makes records of what is to be written to the TUN. A packet may join a record of an earlier receive of the same round. Returns the bytes
 * looked at: fewer than `bytes` when there is no room for more records.
 */
export function receive(
  at: usize,
  bytes: u32,
  segment: u32,
  sender: u32,
): u32 {
  if (bytes == 0) refuse(RX_DROP_EMPTY, at, 0, sender);
  let done: u32 = 0;
  let packets: u32 = 0;
  let packetBytes: u32 = 0;
  while (done < bytes && records < <u32> RX_MAX_RECORDS) {
    const length = min<u32>(segment, bytes - done);
    const ip = at + done;
    done += length;
    if (!admit(ip, length, sender)) continue;
    place(ip, length);
    packets++;
    packetBytes += length;
  }
  count(RX_PACKETS, packets);
  count(RX_BYTES, packetBytes);
  return done;
}

/**
 * Ends a round: finishes the merged packets and returns the number of records;
 * RESULT_ICMP_COUNT says how many ICMP errors are due.
 */
export function endReceive(): u32 {
  for (let i: u32 = 0; i < records; i++) {
    const record: usize = RX_RECORDS + i * RX_RECORD_STRIDE;
    if (load<u32>(record, RECORD_PACKETS) > 1) finish(record);
  }
  store<u32>(RESULT_ICMP_COUNT, icmpRequests);
  return records;
}

/** Whether a packet may enter this host; counts why not. Mends the TTL. */
function admit(ip: usize, length: u32, sender: u32): bool {
  if (length < 20) {
    const reason = isReceipt(ip, length) ? RX_LEGACY_SIGNALS : RX_DROP_SHORT;
    return refuse(reason, ip, length, sender);
  }
  const first: u32 = load<u8>(ip);
  if (first >> 4 != 4) return refuse(RX_DROP_NOT_IPV4, ip, length, sender);
  const ihl = (first & 15) << 2;
  if (ihl < 20 || ihl > length) {
    return refuse(RX_DROP_BAD_HEADER, ip, length, sender);
  }
  if (load16(ip, 2) != length) {
    return refuse(RX_DROP_BAD_LENGTH, ip, length, sender);
  }
  if (fold(sum(ip, ihl)) != 0xffff) {
    return refuse(RX_DROP_BAD_CHECKSUM, ip, length, sender);
  }

  const check = load<u32>(CONFIG_SENDER_CHECK);
  if (check != SENDER_CHECK_OFF && peerOf(load32(ip, 12)) != sender) {
    if (check != SENDER_CHECK_STRICT) {
      count(RX_SENDER_MISMATCH_PASSED, 1);
    } else if (isPeerAddress(sender)) {
      return refuse(RX_DROP_WRONG_SOURCE, ip, length, sender);
    } else {
      return refuse(RX_DROP_UNKNOWN_SENDER, ip, length, sender);
    }
  }
  if (
    (load32(ip, 16) & load<u32>(CONFIG_OWN_MASK)) !=
      load<u32>(CONFIG_OWN_SUBNET)
  ) {
    return refuse(RX_DROP_WRONG_DESTINATION, ip, length, sender);
  }
  if (isProbe(ip, length)) {
    return refuse(RX_LEGACY_SIGNALS, ip, length, sender);
  }
  if (load<u8>(ip, 8) <= 1) {
    if (icmpRequests < <u32> ICMP_MAX_REQUESTS) {
      const request: usize = ICMP_REQUESTS + (icmpRequests << 3);
      store<u32>(request, <u32> ip);
      store<u32>(request, length, 4);
      icmpRequests++;
    }
    return refuse(RX_DROP_TTL, ip, length, sender);
  }
  decrementTtl(ip);
  return true;
}

/** Whether a datagram that is too short for a packet is a receipt. */
function isReceipt(datagram: usize, length: u32): bool {
  return length == RECEIPT_BYTES && load32(datagram, 0) == RECEIPT_MARK;
}

/**
 * Whether a packet is a probe of an earlier version (`legacy_signals.ts`): a TCP
 * packet larger than the overlay's MTU whose checksum is its pseudo header's sum,
 * as its sender's kernel left it (CHECKSUM_PARTIAL).
 */
function isProbe(ip: usize, length: u32): bool {
  if (length <= load<u32>(CONFIG_MTU)) return false;
  if (load<u8>(ip) != 0x45 || load<u8>(ip, 9) != TCP) return false;
  return load16(ip + IP, TCP_CHECKSUM) ==
    fold(pseudoHeaderSum(ip, TCP, length - IP));
}

function refuse(reason: u32, ip: usize, length: u32, sender: u32): bool {
  count(reason, 1);
  recordDrop(reason, ip, length, length, sender);
  return false;
}

/** Merges a packet into its flow's open record, or makes a record for it. */
function place(ip: usize, length: u32): void {
  const protocol: u32 = load<u8>(ip, 9);
  if ((load16(ip, 6) & FRAGMENT) || load<u8>(ip) != 0x45) {
    // A fragment has no ports (or its successors have none), and behind options
    // they are elsewhere: nothing of any flow may overtake such a packet.
    closeFlows();
    addRecord(ip, length);
  } else if (length < IP + 8) {
    addRecord(ip, length);
  } else if (protocol == TCP && load<u32>(CONFIG_COALESCE_TCP)) {
    placeTcp(ip, length);
  } else if (protocol == UDP && load<u32>(CONFIG_COALESCE_UDP)) {
    placeUdp(ip, length);
  } else {
    addRecord(ip, length);
  }
}

function placeTcp(ip: usize, length: u32): void {
  const t = ip + IP;
  const flow = findFlow(ip, TCP);
  const transport: u32 = length < IP + 20
    ? 0
    : (<u32> load<u8>(t, 12) >> 4) << 2;
  const header = IP + transport;
  const flags: u32 = load<u8>(t, 13);
  // Only plain data is merged: with anything else its flow is written out first.
  if (transport < 20 || header >= length || (flags & ~PSH) != ACK) {
    if (flow) store<u32>(flow, 0, FLOW_RECORD);
    addRecord(ip, length);
    return;
  }
  const payload = length - header;
  if (flow) {
    if (
      tcpFits(flow, ip, header, payload) && append(flow, ip, header, payload)
    ) {
      const record: usize = load<u32>(flow, FLOW_RECORD);
      store<u32>(flow, load32(t, 4) + payload, FLOW_NEXT_SEQUENCE);
      if (flags & PSH) {
        const head: usize = load<u32>(record, RECORD_HEAD) + IP;
        store<u8>(head, load<u8>(head, 13) | <u8> PSH, 13);
      }
      if ((flags & PSH) || payload < load<u32>(record, RECORD_GSO_BYTES)) {
        store<u32>(flow, 0, FLOW_RECORD);
      }
      return;
    }
    store<u32>(flow, 0, FLOW_RECORD);
  }
  const record = addRecord(ip, length);
  if (flags & PSH) return; // the kernel's GRO ends at a PSH as well
  openFlow(ip, TCP, record, header, payload);
}

function placeUdp(ip: usize, length: u32): void {
  const u = ip + IP;
  const header: u32 = IP + 8;
  const flow = findFlow(ip, UDP);
  // Without a checksum there is nothing to verify, and the kernel could not
  // cut the result again.
  if (
    load16(u, 4) != length - IP || load<u16>(u, 6) == 0 || header == length
  ) {
    if (flow) store<u32>(flow, 0, FLOW_RECORD);
    addRecord(ip, length);
    return;
  }
  const payload = length - header;
  if (flow) {
    const record: usize = load<u32>(flow, FLOW_RECORD);
    if (
      sameIpHeader(load<u32>(record, RECORD_HEAD), ip, record) &&
      payload <= load<u32>(record, RECORD_GSO_BYTES) &&
      append(flow, ip, header, payload)
    ) {
      if (payload < load<u32>(record, RECORD_GSO_BYTES)) {
        store<u32>(flow, 0, FLOW_RECORD);
      }
      return;
    }
    store<u32>(flow, 0, FLOW_RECORD);
  }
  openFlow(ip, UDP, addRecord(ip, length), header, payload);
}

function tcpFits(flow: usize, ip: usize, header: u32, payload: u32): bool {
  const record: usize = load<u32>(flow, FLOW_RECORD);
  const head: usize = load<u32>(record, RECORD_HEAD);
  if (
    header != load<u32>(record, RECORD_HEADER_BYTES) ||
    payload > load<u32>(record, RECORD_GSO_BYTES) ||
    load32(ip + IP, 4) != load<u32>(flow, FLOW_NEXT_SEQUENCE) ||
    !sameIpHeader(head, ip, record)
  ) {
    return false;
  }
  const a = head + IP;
  const b = ip + IP;
  if (
    load<u32>(a, 8) != load<u32>(b, 8) || // acknowledgement
    load<u16>(a, 14) != load<u16>(b, 14) || // window
    load<u16>(a, 18) != load<u16>(b, 18) // urgent pointer
  ) {
    return false;
  }
  for (let i: u32 = 20; i < header - IP; i += 4) {
    if (load<u32>(a + i) != load<u32>(b + i)) return false;
  }
  return true;
}

/** TOS, TTL and DF as the head's; the ID counted on where DF does not void it. */
function sameIpHeader(head: usize, ip: usize, record: usize): bool {
  if (
    load<u8>(head, 1) != load<u8>(ip, 1) ||
    load<u8>(head, 8) != load<u8>(ip, 8) ||
    load<u16>(head, 6) != load<u16>(ip, 6)
  ) {
    return false;
  }
  if (load16(ip, 6) & DF) return true;
  const expected = load16(head, 4) + load<u32>(record, RECORD_PACKETS);
  return load16(ip, 4) == (expected & 0xffff);
}

/** Adds a packet's payload to its flow's record, if all checksums are right. */
function append(flow: usize, ip: usize, header: u32, payload: u32): bool {
  const record: usize = load<u32>(flow, FLOW_RECORD);
  const packets = load<u32>(record, RECORD_PACKETS);
  const total = load<u32>(record, RECORD_PAYLOAD_BYTES) + payload;
  if (packets >= <u32> MAX_SEGMENTS || header + total > MAX_PACKET_BYTES) {
    return false;
  }
  if (packets == 1 && mergeAreas >= <u32> RX_MERGE_AREAS) return false;
  const head: usize = load<u32>(record, RECORD_HEAD);
  if (!load<u32>(flow, FLOW_VERIFIED)) {
    if (!checksumIsRight(head, load16(head, 2))) return false;
    store<u32>(flow, 1, FLOW_VERIFIED);
  }
  if (!checksumIsRight(ip, header + payload)) return false;
  if (packets == 1) moveToMergeArea(record);
  const entries = load<u32>(record, RECORD_IOV_COUNT);
  storeIovec(
    load<u32>(record, RECORD_IOV) + (entries << 4),
    ip + header,
    payload,
  );
  store<u32>(record, entries + 1, RECORD_IOV_COUNT);
  store<u32>(record, packets + 1, RECORD_PACKETS);
  store<u32>(record, total, RECORD_PAYLOAD_BYTES);
  return true;
}

function checksumIsRight(ip: usize, length: u32): bool {
  const bytes = length - IP;
  return fold(
    pseudoHeaderSum(ip, load<u8>(ip, 9), bytes) + sum(ip + IP, bytes),
  ) == 0xffff;
}

/** Two iovecs are room for one packet only. */
function moveToMergeArea(record: usize): void {
  const area: usize = RX_MERGE_IOV + mergeAreas * (RX_MERGE_IOV_ENTRIES << 4);
  mergeAreas++;
  memory.copy(area, load<u32>(record, RECORD_IOV), 32);
  store<u32>(record, <u32> area, RECORD_IOV);
}

function addRecord(ip: usize, length: u32): usize {
  const record: usize = RX_RECORDS + records * RX_RECORD_STRIDE;
  const iov: usize = RX_IOV + (records << 5);
  records++;
  store<u32>(record, <u32> iov, RECORD_IOV);
  store<u32>(record, 2, RECORD_IOV_COUNT);
  store<u32>(record, 1, RECORD_PACKETS);
  store<u32>(record, 0, RECORD_VNET);
  store<u32>(record, 0, RECORD_VNET + 4);
  store<u16>(record, 0, RECORD_VNET + 8);
  storeIovec(iov, record + RECORD_VNET, VNET_HEADER_BYTES);
  storeIovec(iov + 16, ip, length);
  return record;
}

function openFlow(
  ip: usize,
  protocol: u32,
  record: usize,
  header: u32,
  payload: u32,
): void {
  store<u32>(record, <u32> ip, RECORD_HEAD);
  store<u32>(record, header, RECORD_HEADER_BYTES);
  store<u32>(record, payload, RECORD_GSO_BYTES);
  store<u32>(record, payload, RECORD_PAYLOAD_BYTES);
  const flow: usize = RX_OPEN_FLOWS + nextFlow * RX_OPEN_FLOW_STRIDE;
  nextFlow = (nextFlow + 1) & (RX_OPEN_FLOW_COUNT - 1);
  store<u32>(flow, <u32> record, FLOW_RECORD);
  store<u64>(flow, load<u64>(ip, 12), FLOW_ADDRESSES);
  store<u32>(flow, load<u32>(ip, IP), FLOW_PORTS);
  store<u32>(flow, protocol, FLOW_PROTOCOL);
  store<u32>(flow, 0, FLOW_VERIFIED);
  store<u32>(flow, load32(ip + IP, 4) + payload, FLOW_NEXT_SEQUENCE);
}

function findFlow(ip: usize, protocol: u32): usize {
  const addresses = load<u64>(ip, 12);
  const ports = load<u32>(ip, IP);
  for (let i: u32 = 0; i < <u32> RX_OPEN_FLOW_COUNT; i++) {
    const flow: usize = RX_OPEN_FLOWS + i * RX_OPEN_FLOW_STRIDE;
    if (
      load<u32>(flow, FLOW_RECORD) != 0 &&
      load<u64>(flow, FLOW_ADDRESSES) == addresses &&
      load<u32>(flow, FLOW_PORTS) == ports &&
      load<u32>(flow, FLOW_PROTOCOL) == protocol
    ) {
      return flow;
    }
  }
  return 0;
}

function closeFlows(): void {
  for (let i: u32 = 0; i < <u32> RX_OPEN_FLOW_COUNT; i++) {
    store<u32>(RX_OPEN_FLOWS + i * RX_OPEN_FLOW_STRIDE, 0, FLOW_RECORD);
  }
}

/** Turns a head with further payloads behind it into one super-packet. */
function finish(record: usize): void {
  const ip: usize = load<u32>(record, RECORD_HEAD);
  const header = load<u32>(record, RECORD_HEADER_BYTES);
  const length = header + load<u32>(record, RECORD_PAYLOAD_BYTES);
  const protocol: u32 = load<u8>(ip, 9);
  store16(ip, length, 2);
  sealIpHeader(ip, IP);
  const checksum: u32 = protocol == TCP ? TCP_CHECKSUM : 6;
  if (protocol == UDP) store16(ip, length - IP, IP + 4);
  store16(
    ip + IP,
    fold(pseudoHeaderSum(ip, protocol, length - IP)),
    checksum,
  );
  const vnet = record + RECORD_VNET;
  store<u8>(vnet, NEEDS_CSUM);
  store<u8>(vnet, protocol == TCP ? GSO_TCPV4 : GSO_UDP_L4, 1);
  store<u16>(vnet, <u16> header, 2);
  store<u16>(vnet, <u16> load<u32>(record, RECORD_GSO_BYTES), 4);
  store<u16>(vnet, <u16> IP, 6);
  store<u16>(vnet, <u16> checksum, 8);
  count(RX_SUPER_PACKETS, 1);
}
