/**
 * Super-packets without a tunnel's marks, to peers that get them whole.
 *
 * Encapsulated by the kernel's rules a super-packet is marked as a tunnel's
 * (`skb->encapsulation`), so that any device can cut it. Between namespaces of one
 * machine nothing cuts it, and the mark is still there after decapsulation, where
 * no program can take it away: a bridge to containers has no offloads for it
 * (`hw_enc_features`) and cuts after all. Without marks no device could cut it
 * rightly: it may only go where nothing does.
 *
 * Whether that is so only a packet can tell. The programs find it out by
 * themselves, from what they say to each other in the identification of the outer
 * header, which means nothing where DF is set (RFC 6864):
 *
 * 1. A super-packet for a peer of whom nothing is known goes twice: marked, as
 *    ever, and without marks as a *probe*.
 * 2. A probe that arrives whole is dropped, and for a tenth of a second all packets
 *    to its sender say that it was *heard*.
 * 3. Who hears so sends super-packets without marks for a tenth of a second, and
 *    these say that they are *whole*, which is heard like a probe.
 *
 * So when something on the way begins to cut, super-packets of a fifth of a second
 * are lost, which TCP's first repetition mends: after seconds of that, congestion
 * control (BBR) would need minutes to believe in the path again. A probe that
 * nobody answers is repeated after half a minute. What comes from such a peer, or goes
 * to it, is not merged: it is whole.
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
  label,
  load,
  load64,
  loadMap,
  mov,
  or,
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
  store,
  toBigEndian,
} from "../../../../linux/bpf/instructions.ts";
import { PEER, PEER_FLAG, WAY } from "../maps.ts";
import type { HostConstants } from "./constants.ts";
import {
  ETHERNET,
  ETHERTYPE_IPV4,
  IPV4,
  networkHalf,
  OUTER_BYTES,
  OUTER_ID,
  OUTER_IP,
  PROTOCOL,
  SKB,
  VERDICT,
} from "./layout.ts";
import { count, dropped, ends, readClock, STACK } from "./parts.ts";

/** How long it counts what was heard. */
const WINDOW_NS = 100_000_000;
/** From an unanswered probe to the next. */
export const PROBE_REST_NS = 30_000_000_000n;

/**
 * Goes to `bare` with a super-packet that is to lose its marks, and on with all
 * others; STACK.OUTER_ID becomes what the packet says. R7 is the peer, and
 * `protocolAt` where the inner protocol is on the stack.
 */
export function chooseForm(
  host: HostConstants,
  protocolAt: number,
  bare: string,
): Instruction[] {
  return [
    store("u64", R10, STACK.OUTER_ID, 0),
    load("u32", R1, R7, PEER.FLAGS),
    and(R1, PEER_FLAG.BARE),
    jumpIf(R1, "==", 0, "form chosen"),
    ...lookUpWay(R7, "bare", "form chosen"),
    mov(R2, 0),
    load("u64", R1, R0, WAY.FROM_UNTIL),
    jumpIf(R1, "<=", R3, "nothing heard of the peer"),
    mov(R2, OUTER_ID.SAYS | OUTER_ID.HEARD),
    label("nothing heard of the peer"),
    load("u32", R1, R6, SKB.GSO_SIZE),
    jumpIf(R1, "==", 0, "as ever"),
    load("u32", R1, R10, protocolAt),
    jumpIf(R1, "!=", PROTOCOL.TCP, "as ever"),
    load("u64", R1, R0, WAY.TO_UNTIL),
    jumpIf(R1, ">", R3, "whole"),
    load("u64", R1, R0, WAY.PROBE_FROM),
    jumpIf(R1, ">", R3, "as ever"),
    load64(R1, PROBE_REST_NS),
    add(R1, R3),
    store("u64", R0, WAY.PROBE_FROM, R1),
    or(R2, OUTER_ID.SAYS | OUTER_ID.PROBE),
    ...say(R2),
    // The copy meets this program again, and goes as ever.
    mov(R1, R6),
    mov(R2, host.device.interfaceIndex),
    mov(R3, 0),
    call("clone_redirect"),
    jumpIf(R0, "==", 0, bare),
    store("u64", R10, STACK.OUTER_ID, 0),
    goto("form chosen"),
    label("whole"),
    ...count("tx.whole"),
    or(R2, OUTER_ID.SAYS | OUTER_ID.WHOLE),
    ...say(R2),
    goto(bare),
    label("as ever"),
    ...say(R2),
    label("form chosen"),
  ];
}

function say(id: Register): Instruction[] {
  return [toBigEndian(id, 16), store("u64", R10, STACK.OUTER_ID, id)];
}

/**
 * Room for the outer headers without the kernel's knowing that it is a tunnel's:
 * in front of the frame, whose Ethernet header is written anew.
 */
export function makeBareRoom(): Instruction[] {
  const at = STACK.HEADERS;
  return [
    mov(R1, R6),
    mov(R2, OUTER_BYTES),
    mov(R3, 0),
    call("skb_change_head"),
    jumpIf(R0, "!=", 0, dropped("tx.drop.noRoom")),
    // The addresses come with the next hop.
    store("u64", R10, at, 0),
    store("u32", R10, at + 8, 0),
    store("u16", R10, at + ETHERNET.TYPE, networkHalf(ETHERTYPE_IPV4)),
    mov(R1, R6),
    mov(R2, 0),
    mov(R3, R10),
    add(R3, at),
    mov(R4, ETHERNET.BYTES),
    mov(R5, 0),
    call("skb_store_bytes"),
    jumpIf(R0, "!=", 0, dropped("tx.drop.noRoom")),
  ];
}

/** Goes to `target` when the packet that was sent is a probe. */
export function ifProbe(target: string): Instruction[] {
  return [
    load("u64", R1, R10, STACK.OUTER_ID),
    and(R1, networkHalf(OUTER_ID.PROBE)),
    jumpIf(R1, "!=", 0, target),
  ];
}

/**
 * Remembers what a packet of a checked sender says; STACK.IS_WHOLE is not 0
 * afterwards where packets of the peer come whole or go so. R7 is the packet and
 * R8 the peer, 0 for one that is not known. A probe ends at {@linkcode endProbe}.
 */
export function hear(): Instruction[] {
  const untilInAWindow = (way: number, unique: string): Instruction[] => [
    // Once a tick is enough: the line of memory belongs to all CPUs.
    load("u64", R2, R0, way),
    jumpIf(R2, "==", R4, `${unique} known`),
    store("u64", R0, way, R4),
    label(`${unique} known`),
  ];
  return [
    store("u64", R10, STACK.IS_WHOLE, 0),
    jumpIf(R8, "==", 0, "all heard"),
    // An identification of anybody else means nothing.
    load("u32", R1, R8, PEER.FLAGS),
    and(R1, PEER_FLAG.BARE),
    jumpIf(R1, "==", 0, "all heard"),
    ...lookUpWay(R8, "hear", "all heard"),
    mov(R4, R3),
    add(R4, WINDOW_NS),
    load("u16", R5, R7, OUTER_IP + IPV4.ID),
    toBigEndian(R5, 16),
    mov(R1, R5),
    and(R1, OUTER_ID.SAYS_MASK),
    jumpIf(R1, "!=", OUTER_ID.SAYS, "nothing more said"),
    mov(R1, R5),
    and(R1, OUTER_ID.HEARD),
    jumpIf(R1, "==", 0, "we are not heard"),
    ...untilInAWindow(WAY.TO_UNTIL, "that we are heard"),
    store("u64", R0, WAY.PROBE_FROM, 0),
    label("we are not heard"),
    // The kernel counts the identification up when it cuts: only a super-packet
    // says what it was sent to say.
    load("u32", R1, R6, SKB.GSO_SIZE),
    jumpIf(R1, "==", 0, "nothing more said"),
    and(R5, OUTER_ID.WHOLE | OUTER_ID.PROBE),
    jumpIf(R5, "==", 0, "nothing more said"),
    ...untilInAWindow(WAY.FROM_UNTIL, "that it is whole"),
    and(R5, OUTER_ID.PROBE),
    jumpIf(R5, "!=", 0, "probe"),
    label("nothing more said"),
    load("u64", R1, R0, WAY.FROM_UNTIL),
    jumpIf(R1, ">", R3, "comes or goes whole"),
    load("u64", R1, R0, WAY.TO_UNTIL),
    jumpIf(R1, "<=", R3, "all heard"),
    label("comes or goes whole"),
    store("u64", R10, STACK.IS_WHOLE, 1),
    label("all heard"),
  ];
}

/** Where a probe ends: what it carries has come in another packet. */
export function endProbe(): Instruction[] {
  return [
    label("probe"),
    ...count("rx.probes"),
    ...ends("probe heard", VERDICT.DROP),
  ];
}

/**
 * R0 becomes what is known of the way to the peer that `peer` points to, R3 the
 * clock; goes to `otherwise` for one without a place of its own. `unique` is in
 * front of its label.
 */
export function lookUpWay(
  peer: Register,
  unique: string,
  otherwise: string,
): Instruction[] {
  return [
    ...readClock(`${unique} way`),
    store("u64", R10, STACK.NOW, R0),
    load("u32", R1, peer, PEER.SLOT),
    jumpIf(R1, "==", 0, otherwise),
    store("u32", R10, STACK.SCRATCH, R1),
    loadMap(R1, "loden_ways"),
    mov(R2, R10),
    add(R2, STACK.SCRATCH),
    call("map_lookup_elem"),
    jumpIf(R0, "==", 0, otherwise),
    load("u64", R3, R10, STACK.NOW),
  ];
}
