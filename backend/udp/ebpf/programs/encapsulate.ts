/**
 * From the overlay device to the underlay.
 *
 * `loden_tx` runs at the egress of the overlay device: it encapsulates and sends
 * by the underlay. What must be cut first goes on into the device, which cuts it
 * (its segmentation offloads are off) and hands the pieces to its other end;
 * there `loden_hop` encapsulates them one by one.
 *
 * The outer headers are flannel's, with DF as its socket sets it. The kernel's
 * segmentation fills in lengths, IP IDs and header checksums of a super-packet's
 * pieces (`net/ipv4/udp_offload.c`, `__skb_udp_tunnel_segment`). No TTL is taken
 * here: the host's forwarding takes one at each end, as with any link.
 *
 * @module
 */

import {
  add,
  and,
  call,
  exit,
  type Instruction,
  jumpIf,
  label,
  load,
  lsh,
  mov,
  R0,
  R1,
  R10,
  R2,
  R3,
  R4,
  R5,
  R6,
  R7,
  R8,
  type Register,
  rsh,
  store,
  sub,
  toBigEndian,
  xor,
} from "../../../../linux/bpf/instructions.ts";
import { PEER, PEER_FLAG } from "../maps.ts";
import type { HostConstants } from "./constants.ts";
import {
  DONT_FRAGMENT,
  ETHERNET,
  ETHERTYPE_IPV4,
  FRAGMENT_MASK,
  IPV4,
  networkHalf,
  networkWord,
  OUTER_BYTES,
  OUTER_IP,
  PLAIN_IPV4,
  PROTOCOL,
  SKB,
  UDP,
  VERDICT,
} from "./layout.ts";
import {
  count,
  countTraffic,
  dropped,
  drops,
  ends,
  FIXED_GSO,
  fold,
  inTime,
  linear,
  lookUpPeer,
  ROOM_MAC,
  segments,
  STACK,
} from "./parts.ts";

/** BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP. */
const ENCAPSULATE_UDP = (1 << 1) | (1 << 4);

/** What an IPv4 packet can hold. */
const IPV4_MOST_BYTES = 65_535;
const OUTER_TTL = 64;

const PROTOCOL_AT = STACK.OPTIONS;
const PSEUDO_SUM_AT = STACK.OPTIONS + 8;

/** Whether packets at this place have been cut already. */
export type EncapsulationPlace = "device" | "hop";

/** The drops of {@linkcode encapsulate}. */
const DROPS = [
  "tx.drop.short",
  "tx.drop.notIpv4",
  "tx.drop.badHeader",
  "tx.drop.noPeer",
  "tx.drop.expired",
  "tx.drop.noRoom",
] as const;

/**
 * R6 must be the context and R9 the counters. Ends the program on every way;
 * packets to be cut end with NEXT.
 */
export function encapsulate(
  host: HostConstants,
  place: EncapsulationPlace,
): Instruction[] {
  return [
    load("u32", R1, R6, SKB.PROTOCOL),
    jumpIf(R1, "!=", networkHalf(ETHERTYPE_IPV4), dropped("tx.drop.notIpv4")),
    ...linear(R7, ETHERNET.BYTES + IPV4.BYTES, dropped("tx.drop.short")),
    load("u8", R1, R7, OUTER_IP),
    mov(R2, R1),
    rsh(R2, 4),
    jumpIf(R2, "!=", 4, dropped("tx.drop.notIpv4")),
    and(R1, 15),
    jumpIf(R1, "<", 5, dropped("tx.drop.badHeader")),
    load("u32", R8, R6, SKB.LENGTH),
    sub(R8, ETHERNET.BYTES),
    lsh(R1, 2),
    jumpIf(R1, ">", R8, dropped("tx.drop.badHeader")),
    load("u16", R1, R7, OUTER_IP + IPV4.TOTAL_LENGTH),
    toBigEndian(R1, 16),
    ...(place === "device" ? passBigTcp() : []),
    jumpIf(R1, "!=", R8, dropped("tx.drop.badHeader")),
    label("length good"),
    load("u8", R1, R7, OUTER_IP + IPV4.PROTOCOL),
    store("u32", R10, PROTOCOL_AT, R1),
    ...(place === "hop" ? rememberPseudoSum() : []),
    load("u32", R1, R7, OUTER_IP + IPV4.DESTINATION),
    ...lookUpPeer(),
    jumpIf(R0, "==", 0, dropped("tx.drop.noPeer")),
    mov(R7, R0),
    ...inTime(R7, dropped("tx.drop.expired"), "tx"),
    ...(place === "device" ? leaveWhatMustBeCut(host) : []),
    ...segments("tx"),
    store("u64", R10, STACK.SEGMENTS, R0),
    store("u64", R10, STACK.BYTES, R8),
    mov(R1, R6),
    mov(R2, OUTER_BYTES),
    mov(R3, ROOM_MAC),
    // A packet that was cut has its checksums and needs nothing of a tunnel's;
    // marked as one it would not be merged by a receiver (UDP_GRO).
    mov(R4, place === "device" ? ENCAPSULATE_UDP | FIXED_GSO : FIXED_GSO),
    call("skb_adjust_room"),
    jumpIf(R0, "!=", 0, dropped("tx.drop.noRoom")),
    ...outerHeaders(host),
    ...(place === "hop" ? outerChecksum(host) : []),
    mov(R1, R6),
    mov(R2, OUTER_IP),
    mov(R3, R10),
    add(R3, STACK.HEADERS),
    mov(R4, OUTER_BYTES),
    mov(R5, 0),
    call("skb_store_bytes"),
    jumpIf(R0, "!=", 0, dropped("tx.drop.noRoom")),
    ...countTraffic("tx", R7),
    load("u32", R1, R7, PEER.INTERFACE),
    mov(R2, 0),
    mov(R3, 0),
    mov(R4, 0),
    call("redirect_neigh"),
    exit(),
    ...drops(DROPS, VERDICT.DROP),
    ...(place === "device"
      ? [label("cut"), ...count("tx.cut"), ...ends("pass on", VERDICT.NEXT)]
      : []),
  ];
}

/**
 * "BIG TCP": a super-packet beyond what its header can say, which says 0 then
 * (`iph_set_totlen` in `include/net/ip.h`). It is cut because of its length.
 */
function passBigTcp(): Instruction[] {
  return [
    jumpIf(R1, "!=", 0, "no big TCP"),
    load("u32", R2, R6, SKB.GSO_SIZE),
    jumpIf(R2, "==", 0, "no big TCP"),
    jumpIf(R8, ">", IPV4_MOST_BYTES, "length good"),
    label("no big TCP"),
  ];
}

/**
 * All packets of a flow go one way, or they would overtake each other: UDP is
 * left as a whole, not only its super-packets.
 */
function leaveWhatMustBeCut(host: HostConstants): Instruction[] {
  return [
    // Only what was merged elsewhere and is forwarded here gets so long.
    jumpIf(R8, ">", IPV4_MOST_BYTES - OUTER_BYTES, "cut"),
    load("u32", R1, R7, PEER.FLAGS),
    and(R1, PEER_FLAG.CUT),
    jumpIf(R1, "!=", 0, "cut"),
    ...(host.cutUdp
      ? [
        load("u32", R1, R10, PROTOCOL_AT),
        jumpIf(R1, "==", PROTOCOL.UDP, "cut"),
      ]
      : []),
  ];
}

/** Puts the outer headers on the stack; R8 is the length of the packet. */
function outerHeaders(host: HostConstants): Instruction[] {
  const ip = STACK.HEADERS;
  const udp = ip + IPV4.BYTES;
  const source = networkWord(host.underlayAddress);
  // Words as this machine reads them: the sum does not mind (RFC 1071).
  const fixed = networkHalf(PLAIN_IPV4 << 8) + networkHalf(DONT_FRAGMENT) +
    networkHalf((OUTER_TTL << 8) | PROTOCOL.UDP) + (source & 0xffff) +
    (source >>> 16);
  return [
    store("u32", R10, ip, networkHalf(PLAIN_IPV4 << 8)),
    store("u32", R10, ip + IPV4.ID, networkHalf(DONT_FRAGMENT) << 16),
    store(
      "u32",
      R10,
      ip + IPV4.TTL,
      networkHalf((OUTER_TTL << 8) | PROTOCOL.UDP),
    ),
    store("u32", R10, ip + IPV4.SOURCE, source),
    load("u32", R2, R7, PEER.ADDRESS),
    store("u32", R10, ip + IPV4.DESTINATION, R2),
    mov(R1, R8),
    add(R1, OUTER_BYTES),
    toBigEndian(R1, 16),
    store("u16", R10, ip + IPV4.TOTAL_LENGTH, R1),
    add(R1, fixed),
    ...addHalves(R1, R2, R3),
    ...fold(R1, R3),
    xor(R1, 0xffff),
    store("u16", R10, ip + IPV4.CHECKSUM, R1),
    store(
      "u32",
      R10,
      udp,
      networkHalf(host.port) | (networkHalf(host.port) << 16),
    ),
    mov(R1, R8),
    add(R1, UDP.BYTES),
    toBigEndian(R1, 16),
    // With the checksum: 0, there is none.
    store("u32", R10, udp + UDP.LENGTH, R1),
  ];
}

/**
 * The sum of the inner pseudo header, for {@linkcode outerChecksum}; R7 is the
 * packet and R8 its length.
 */
function rememberPseudoSum(): Instruction[] {
  const source = OUTER_IP + IPV4.SOURCE;
  return [
    load("u16", R2, R7, OUTER_IP + IPV4.FRAGMENT),
    and(R2, networkHalf(FRAGMENT_MASK)),
    jumpIf(R2, "==", 0, "not a fragment"),
    store("u32", R10, PROTOCOL_AT, 0),
    label("not a fragment"),
    load("u8", R2, R7, OUTER_IP),
    and(R2, 15),
    mov(R3, R8),
    sub(R3, R2),
    sub(R3, R2),
    sub(R3, R2),
    sub(R3, R2),
    toBigEndian(R3, 16),
    // The protocol is the second byte of its half.
    toBigEndian(R1, 16),
    add(R1, R3),
    load("u32", R2, R7, source),
    ...addHalves(R1, R2, R3),
    load("u32", R2, R7, source + 4),
    ...addHalves(R1, R2, R3),
    ...fold(R1, R3),
    store("u64", R10, PSEUDO_SUM_AT, R1),
  ];
}

/**
 * The outer UDP checksum, without a look at the payload ("local checksum
 * offload", `Documentation/networking/checksum-offloads.rst`): a TCP packet with
 * a right checksum sums up to the complement of its pseudo header, and its IP
 * header to nothing. Not for a fragment, which has no such sum, nor for another
 * protocol: UDP may have no checksum (RFC 768).
 */
function outerChecksum(host: HostConstants): Instruction[] {
  const source = networkWord(host.underlayAddress);
  const udp = STACK.HEADERS + IPV4.BYTES;
  const fixed = (source & 0xffff) + (source >>> 16) +
    networkHalf(PROTOCOL.UDP) + 2 * networkHalf(host.port);
  return [
    load("u32", R1, R7, PEER.FLAGS),
    and(R1, PEER_FLAG.CHECKSUM),
    jumpIf(R1, "==", 0, "no checksum"),
    load("u32", R1, R10, PROTOCOL_AT),
    jumpIf(R1, "!=", PROTOCOL.TCP, "no checksum"),
    load("u64", R1, R10, PSEUDO_SUM_AT),
    xor(R1, 0xffff),
    add(R1, fixed),
    load("u32", R2, R7, PEER.ADDRESS),
    ...addHalves(R1, R2, R3),
    load("u16", R2, R10, udp + UDP.LENGTH),
    add(R1, R2),
    add(R1, R2),
    ...fold(R1, R3),
    xor(R1, 0xffff),
    jumpIf(R1, "!=", 0, "checksum"),
    // 0 would be "none" (RFC 768).
    mov(R1, 0xffff),
    label("checksum"),
    store("u16", R10, udp + UDP.CHECKSUM, R1),
    label("no checksum"),
  ];
}

/** Adds the two halves of the 32 bits of `word` to `sum`. */
function addHalves(
  sum: Register,
  word: Register,
  scratch: Register,
): Instruction[] {
  return [
    mov(scratch, word),
    and(scratch, 0xffff),
    add(sum, scratch),
    rsh(word, 16),
    add(sum, word),
  ];
}
