/**
 * Super-packets that go as they are to a peer in user space.
 *
 * Encapsulated by the kernel's rules a super-packet is right on any way: what
 * cuts it does so correctly. Where nothing does, between namespaces of one machine,
 * the peer's socket gets it as one datagram of up to 64 KiB
 * (`include/linux/udp.h`, `udp_unexpected_gso` is about UDP's own super-packets
 * only), and the peer gives it to its host as it came. Where something does, the
 * pieces have no outer checksum, and `UDP_GRO` merges none: it is cheaper then to
 * cut before, with checksums. Which it is only the peer can tell:
 *
 * 1. A super-packet for a peer of whom nothing is known goes twice: cut, as ever,
 *    and whole as a *probe*.
 * 2. A peer that gets one whole sends a receipt (`whole_packets.ts`), and another
 *    one every quarter of a second while they come.
 * 3. For a second after a receipt all TCP goes without a detour through the pair,
 *    so that no small packet is overtaken: super-packets whole, the others with
 *    unfinished checksums, which the peer's host finishes.
 *
 * A probe is a copy because only the peer's version knows what it can take. If one
 * is not answered, the next is sent after a rest.
 *
 * @module
 */

import {
  add,
  and,
  call,
  goto,
  type Instruction,
  jumpIf,
  jumpIf32,
  label,
  load,
  load64,
  mov,
  R0,
  R1,
  R10,
  R2,
  R3,
  R4,
  R6,
  R7,
  R8,
  type Register,
  store,
  toBigEndian,
} from "../../../../linux/bpf/instructions.ts";
import {
  LEAST_SEGMENT_BYTES,
  RECEIPT_BYTES,
  RECEIPT_LIFE_MS,
  RECEIPT_MARK,
} from "../../whole_packets.ts";
import { PEER, PEER_FLAG, WAY } from "../maps.ts";
import type { HostConstants } from "./constants.ts";
import {
  INNER_IP,
  IPV4,
  networkWord,
  OUTER_IP,
  PLAIN_IPV4,
  PROTOCOL,
  SKB,
  VERDICT,
} from "./layout.ts";
import {
  count,
  dropped,
  ends,
  inTime,
  linear,
  lookUpPeer,
  STACK,
} from "./parts.ts";
import { lookUpWay, PROBE_REST_NS } from "./whole_ways.ts";

const RECEIPT_LIFE_NS = RECEIPT_LIFE_MS * 1_000_000;

/** Where the stack has what is asked of an inner header. */
export interface InnerHeaderPlaces {
  /** Version and length, 4 bytes. */
  readonly firstByte: number;
  /** 4 bytes. */
  readonly protocol: number;
}

/**
 * Goes to `cut` with what cannot go as it is to the peer in R7, one whose packets
 * are to be cut, and to "user space form chosen" with the rest: then
 * STACK.SOURCE_PORT says how to cut a super-packet, and STACK.IS_PROBE is not 0
 * for a copy. Both must be what they are for other packets.
 */
export function chooseUserSpaceForm(
  host: HostConstants,
  { firstByte, protocol }: InnerHeaderPlaces,
  cut: string,
): Instruction[] {
  const cutIfOddSize = [
    jumpIf(R4, "<", LEAST_SEGMENT_BYTES, cut),
    // As a source port it would say nothing.
    jumpIf(R4, "==", host.port, cut),
  ];
  return [
    ...unlessTakesWhole(R7, cut),
    load("u32", R1, R10, protocol),
    jumpIf(R1, "!=", PROTOCOL.TCP, cut),
    // Behind options nobody in user space looks for a checksum.
    load("u32", R1, R10, firstByte),
    jumpIf(R1, "!=", PLAIN_IPV4, cut),
    ...lookUpWay(R7, "user space", cut),
    load("u32", R4, R6, SKB.GSO_SIZE),
    load("u64", R1, R0, WAY.TO_UNTIL),
    jumpIf(R1, ">", R3, "receipt known"),
    ...cutIfOddSize,
    load("u64", R1, R0, WAY.PROBE_FROM),
    jumpIf(R1, ">", R3, cut),
    load64(R1, PROBE_REST_NS),
    add(R1, R3),
    store("u64", R0, WAY.PROBE_FROM, R1),
    // The copy meets this program again, and is cut.
    mov(R1, R6),
    mov(R2, host.device.interfaceIndex),
    mov(R3, 0),
    call("clone_redirect"),
    jumpIf(R0, "!=", 0, cut),
    store("u64", R10, STACK.IS_PROBE, 1),
    load("u32", R4, R6, SKB.GSO_SIZE),
    goto("say the size"),
    label("receipt known"),
    jumpIf(R4, "==", 0, "user space form chosen"),
    ...cutIfOddSize,
    ...count("tx.whole"),
    label("say the size"),
    toBigEndian(R4, 16),
    store("u64", R10, STACK.SOURCE_PORT, R4),
    label("user space form chosen"),
  ];
}

/**
 * Goes to `target` with a datagram of a receipt's length, R8. What is no receipt is
 * too short for a packet.
 */
export function ifReceipt(target: string): Instruction[] {
  return [jumpIf(R8, "==", RECEIPT_BYTES, target)];
}

/** Where a receipt ends; R7 becomes the packet. It needs a checked sender as well. */
export function takeReceipt(): Instruction[] {
  const refuse = dropped("rx.drop.short");
  return [
    label("perhaps a receipt"),
    ...linear(R7, INNER_IP + RECEIPT_BYTES, refuse),
    load("u32", R1, R7, INNER_IP),
    jumpIf32(R1, "!=", networkWord(RECEIPT_MARK), refuse),
    load("u32", R1, R7, INNER_IP + 4),
    ...lookUpPeer(),
    jumpIf(R0, "==", 0, refuse),
    mov(R8, R0),
    load("u32", R1, R7, OUTER_IP + IPV4.SOURCE),
    load("u32", R2, R8, PEER.ADDRESS),
    jumpIf(R1, "!=", R2, refuse),
    ...unlessTakesWhole(R8, refuse),
    ...inTime(R8, refuse, "receipt"),
    ...lookUpWay(R8, "receipt", refuse),
    add(R3, RECEIPT_LIFE_NS),
    store("u64", R0, WAY.TO_UNTIL, R3),
    store("u64", R0, WAY.PROBE_FROM, 0),
    ...count("rx.receipts"),
    ...ends("receipt taken", VERDICT.DROP),
  ];
}

function unlessTakesWhole(peer: Register, otherwise: string): Instruction[] {
  return [
    load("u32", R1, peer, PEER.FLAGS),
    and(R1, PEER_FLAG.TAKES_WHOLE),
    jumpIf(R1, "==", 0, otherwise),
  ];
}
