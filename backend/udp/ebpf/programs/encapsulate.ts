/**
 * Packets from the overlay device to the underlay.
 *
 * `loden_tx` runs at the egress of the overlay device: it encapsulates packets
 * and sends them through the underlay. Packets that must be segmented first
 * continue into the device, which segments them (its offloads are off) and
 * passes the segments to its hop; there `loden_hop` encapsulates them one by
 * one.
 *
 * The outer headers are flannel's, with DF as its socket sets it, but for the
 * source port: `source_port.ts`. The kernel's
 * segmentation fills in lengths, IP IDs and header checksums of a
 * super-packet's segments (`net/ipv4/udp_offload.c`,
 * `__skb_udp_tunnel_segment`). The TTL is not changed here: the host's
 * forwarding decrements it at each end, as with any link.
 *
 * @module
 */

import {
  add,
  and,
  call,
  exit,
  goto,
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
  rsh,
  store,
  sub,
  toBigEndian,
} from "../../../../linux/bpf/instructions.ts";
import { PEER, PEER_FLAG } from "../maps.ts";
import type { HostConstants } from "./constants.ts";
import {
  ETHERNET,
  ETHERTYPE_IPV4,
  IPV4,
  networkHalf,
  OUTER_BYTES,
  OUTER_IP,
  PLAIN_IPV4,
  PROTOCOL,
  SKB,
  VERDICT,
} from "./layout.ts";
import {
  outerChecksum,
  outerHeaders,
  sumPseudoHeader,
} from "./outer_headers.ts";
import {
  count,
  countTraffic,
  ends,
  FIXED_GSO,
  inTime,
  linear,
  lookUpPeer,
  ROOM_MAC,
  segments,
  STACK,
} from "./parts.ts";
import { dropped, drops } from "./record_drop.ts";
import { hashSourcePort } from "./source_port.ts";

/** BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP. */
const ENCAPSULATE_UDP = (1 << 1) | (1 << 4);

/** The maximum size of an IPv4 packet. */
const IPV4_MOST_BYTES = 65_535;

/**
 * Where the program runs: `device` sees packets of the host, including
 * super-packets; `hop` sees the device's segments.
 */
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
 * R6 must be the context and R9 the counters. Ends the program on every path,
 * together with `dropEnd`, which must follow; packets to be segmented end with
 * NEXT.
 */
export function encapsulate(
  host: HostConstants,
  place: EncapsulationPlace,
): Instruction[] {
  const isDevice = place === "device";
  return [
    ...checkHeader(place),
    ...(isDevice ? [] : sumPseudoHeader()),
    ...hashSourcePort(host),
    ...findPeer(),
    ...(isDevice ? leaveWhatMustBeCut(host) : []),
    ...segments("tx"),
    store("u64", R10, STACK.SEGMENTS, R0),
    store("u64", R10, STACK.BYTES, R8),
    ...(isDevice ? [] : forgetQueue()),
    ...makeRoom(place),
    ...outerHeaders(host),
    ...(isDevice ? [] : outerChecksum(host)),
    ...storeOuterHeaders(),
    ...countTraffic("tx", R7),
    ...send(),
    // Off the main path.
    ...checkVersionAndLength(),
    ...drops(DROPS),
    ...(isDevice
      ? [label("cut"), ...count("tx.cut"), ...ends("pass on", VERDICT.NEXT)]
      : []),
  ];
}

/**
 * R7 becomes the packet, R8 its length, and STACK.PROTOCOL its protocol.
 */
function checkHeader(place: EncapsulationPlace): Instruction[] {
  return [
    load("u32", R1, R6, SKB.PROTOCOL),
    jumpIf(R1, "!=", networkHalf(ETHERTYPE_IPV4), dropped("tx.drop.notIpv4")),
    ...linear(R7, ETHERNET.BYTES + IPV4.BYTES, dropped("tx.drop.short")),
    load("u32", R8, R6, SKB.LENGTH),
    sub(R8, ETHERNET.BYTES),
    load("u8", R1, R7, OUTER_IP),
    jumpIf(R1, "!=", PLAIN_IPV4, "tx not plain"),
    label("tx header good"),
    load("u16", R1, R7, OUTER_IP + IPV4.TOTAL_LENGTH),
    toBigEndian(R1, 16),
    ...(place === "device" ? passBigTcp() : []),
    jumpIf(R1, "!=", R8, dropped("tx.drop.badHeader")),
    label("length good"),
    load("u8", R1, R7, OUTER_IP + IPV4.PROTOCOL),
    store("u32", R10, STACK.PROTOCOL, R1),
  ];
}

/** Handles an unusual first byte, R1. Returns to the main path. */
function checkVersionAndLength(): Instruction[] {
  return [
    label("tx not plain"),
    mov(R2, R1),
    rsh(R2, 4),
    jumpIf(R2, "!=", 4, dropped("tx.drop.notIpv4")),
    and(R1, 15),
    jumpIf(R1, "<", 5, dropped("tx.drop.badHeader")),
    lsh(R1, 2),
    jumpIf(R1, "<=", R8, "tx header good"),
    goto(dropped("tx.drop.badHeader")),
  ];
}

/**
 * "BIG TCP": a super-packet whose length does not fit its header, which then
 * contains 0 (`iph_set_totlen` in `include/net/ip.h`). It is segmented because
 * of its length.
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

/** R7, the packet, becomes the peer that holds its destination. */
function findPeer(): Instruction[] {
  return [
    load("u32", R1, R7, OUTER_IP + IPV4.DESTINATION),
    ...lookUpPeer(),
    jumpIf(R0, "==", 0, dropped("tx.drop.noPeer")),
    mov(R7, R0),
    ...inTime(R7, dropped("tx.drop.expired"), "tx"),
  ];
}

/**
 * All packets of a flow must take the same path, or they would overtake each
 * other. Therefore all UDP is left to the device, not only super-packets.
 */
function leaveWhatMustBeCut(host: HostConstants): Instruction[] {
  return [
    // Only packets that were merged elsewhere and are forwarded here are that
    // long.
    jumpIf(R8, ">", IPV4_MOST_BYTES - OUTER_BYTES, "cut"),
    load("u32", R1, R7, PEER.FLAGS),
    and(R1, PEER_FLAG.CUT),
    jumpIf(R1, "!=", 0, "cut"),
    ...(host.cutUdp
      ? [
        load("u32", R1, R10, STACK.PROTOCOL),
        jumpIf(R1, "==", PROTOCOL.UDP, "cut"),
      ]
      : []),
  ];
}

/**
 * The pair's queue is not one of the underlay device, which chooses by the flow.
 */
function forgetQueue(): Instruction[] {
  return [mov(R1, 0), store("u32", R6, SKB.QUEUE_MAPPING, R1)];
}

/**
 * Room for the outer headers. A segment has complete checksums and needs no
 * tunnel mark; with the mark, a receiver would not merge it (`UDP_GRO`).
 */
function makeRoom(place: EncapsulationPlace): Instruction[] {
  return [
    mov(R1, R6),
    mov(R2, OUTER_BYTES),
    mov(R3, ROOM_MAC),
    mov(R4, place === "device" ? ENCAPSULATE_UDP | FIXED_GSO : FIXED_GSO),
    call("skb_adjust_room"),
    jumpIf(R0, "!=", 0, dropped("tx.drop.noRoom")),
  ];
}

function storeOuterHeaders(): Instruction[] {
  return [
    mov(R1, R6),
    mov(R2, OUTER_IP),
    mov(R3, R10),
    add(R3, STACK.HEADERS),
    mov(R4, OUTER_BYTES),
    mov(R5, 0),
    call("skb_store_bytes"),
    jumpIf(R0, "!=", 0, dropped("tx.drop.noRoom")),
  ];
}

/** Ends the program: the packet leaves through the peer's device. */
function send(): Instruction[] {
  return [
    load("u32", R1, R7, PEER.INTERFACE),
    mov(R2, 0),
    mov(R3, 0),
    mov(R4, 0),
    call("redirect_neigh"),
    exit(),
  ];
}
