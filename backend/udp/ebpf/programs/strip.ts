/**
 * Removes the outer headers before the kernel merges packets.
 *
 * `loden_xdp` runs in the underlay's driver. It removes the outer headers of
 * packets that are certainly ours and valid, so that the device's own GRO sees
 * the overlay's TCP and merges it; a mark before the frame tells `loden_rx`.
 * All other packets continue unchanged, and `loden_rx` judges and counts them.
 *
 * A stripped frame has the overlay device's MAC, which the underlay device does
 * not accept: if `loden_rx` is missing, such packets are dropped instead of
 * entering the host as the underlay's traffic. For the same reason `loden_rx` is
 * attached first and detached last.
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
  jumpIf32,
  label,
  load,
  mov,
  R0,
  R1,
  R10,
  R2,
  R3,
  R6,
  R7,
  R8,
  store,
  sub,
  toBigEndian,
} from "../../../../linux/bpf/instructions.ts";
import { netmask } from "../../../../net/cidr.ts";
import { PEER } from "../maps.ts";
import type { HostConstants } from "./constants.ts";
import {
  enter,
  leavePacketsOfOthers,
  setMacs,
  unlessOfVlan,
} from "./decapsulate.ts";
import {
  ENCAPSULATED_BYTES,
  ETHERNET,
  ETHERTYPE_IPV4,
  INNER_IP,
  IPV4,
  macParts,
  networkHalf,
  networkWord,
  OUTER_BYTES,
  OUTER_IP,
  OUTER_UDP,
  PLAIN_IPV4,
  SKB,
  UDP,
  VERDICT,
  XDP,
  XDP_VERDICT,
} from "./layout.ts";
import {
  counters,
  countTraffic,
  headerSum,
  inTime,
  lookUpPeer,
  STACK,
} from "./parts.ts";
import { countDrop, dropEnd, dropped, drops } from "./record_drop.ts";

/** The mark before a stripped frame. */
const MARK_BYTES = 4;
/** BPF_CSUM_LEVEL_RESET. */
const CHECKSUM_UNKNOWN = 3;

/** The complete XDP program; `mac` is the underlay device's. */
export function strip(host: HostConstants, mac: Uint8Array): Instruction[] {
  const [macWord, macHalf] = macParts(mac);
  const [deviceWord, deviceHalf] = macParts(host.device.mac);
  const pass = "pass";
  return [
    mov(R6, R1),
    load("u32", R7, R6, XDP.DATA),
    load("u32", R2, R6, XDP.DATA_END),
    mov(R1, R7),
    add(R1, ENCAPSULATED_BYTES),
    jumpIf(R1, ">", R2, pass),
    load("u32", R1, R7, ETHERNET.DESTINATION),
    jumpIf32(R1, "!=", macWord, pass),
    load("u16", R1, R7, ETHERNET.DESTINATION + 4),
    jumpIf(R1, "!=", macHalf, pass),
    load("u16", R1, R7, ETHERNET.TYPE),
    jumpIf(R1, "!=", networkHalf(ETHERTYPE_IPV4), pass),
    ...leavePacketsOfOthers(host, pass),
    // Lengths: the frame contains the packet, the only one in the datagram.
    load("u16", R8, R7, OUTER_IP + IPV4.TOTAL_LENGTH),
    toBigEndian(R8, 16),
    load("u32", R2, R6, XDP.DATA_END),
    sub(R2, R7),
    sub(R2, ETHERNET.BYTES),
    jumpIf(R8, ">", R2, pass),
    sub(R8, IPV4.BYTES),
    load("u16", R1, R7, OUTER_UDP + UDP.LENGTH),
    toBigEndian(R1, 16),
    jumpIf(R1, "!=", R8, pass),
    sub(R8, UDP.BYTES),
    load("u16", R1, R7, INNER_IP + IPV4.TOTAL_LENGTH),
    toBigEndian(R1, 16),
    jumpIf(R1, "!=", R8, pass),
    load("u8", R1, R7, INNER_IP),
    jumpIf(R1, "!=", PLAIN_IPV4, pass),
    ...headerSum(R7, INNER_IP),
    jumpIf(R1, "!=", 0xffff, pass),
    load("u32", R1, R7, INNER_IP + IPV4.DESTINATION),
    and(R1, networkWord(netmask(host.subnet.prefixLength))),
    jumpIf32(R1, "!=", networkWord(host.subnet.address), pass),
    store("u64", R10, STACK.BYTES, R8),
    ...counters(XDP_VERDICT.PASS),
    load("u32", R1, R7, INNER_IP + IPV4.SOURCE),
    ...lookUpPeer(),
    mov(R8, R0),
    jumpIf(R8, "==", 0, pass),
    load("u32", R1, R7, OUTER_IP + IPV4.SOURCE),
    load("u32", R2, R8, PEER.ADDRESS),
    jumpIf(R1, "!=", R2, pass),
    ...inTime(R8, pass, "xdp"),
    ...(host.checksInterface
      ? [
        load("u32", R1, R6, XDP.INTERFACE),
        load("u32", R2, R8, PEER.INTERFACE),
        jumpIf(R1, "!=", R2, pass),
      ]
      : []),
    // Asked first, because some drivers (vmxnet3) have no room for a mark:
    // `loden_rx` can still take the whole packet. The room itself comes last:
    // the kernel would have to move it with the frame, a third of the program's
    // time.
    mov(R1, R6),
    mov(R2, 0),
    call("xdp_adjust_meta"),
    jumpIf(R0, "!=", 0, pass),
    // From here on the packet is stripped or dropped, never left half-stripped
    // or with a mark that is not written yet.
    mov(R1, R6),
    mov(R2, OUTER_BYTES),
    call("xdp_adjust_head"),
    jumpIf(R0, "!=", 0, dropped("rx.drop.noRoom")),
    mov(R1, R6),
    mov(R2, -MARK_BYTES),
    call("xdp_adjust_meta"),
    jumpIf(R0, "!=", 0, dropped("rx.drop.noRoom")),
    load("u32", R7, R6, XDP.DATA),
    load("u32", R2, R6, XDP.DATA_END),
    mov(R1, R7),
    add(R1, ETHERNET.BYTES),
    jumpIf(R1, ">", R2, dropped("rx.drop.noRoom")),
    store("u32", R7, ETHERNET.DESTINATION, deviceWord),
    store("u16", R7, ETHERNET.DESTINATION + 4, deviceHalf),
    store("u32", R7, ETHERNET.SOURCE, deviceWord),
    store("u16", R7, ETHERNET.SOURCE + 4, deviceHalf),
    store("u16", R7, ETHERNET.TYPE, networkHalf(ETHERTYPE_IPV4)),
    load("u32", R1, R6, XDP.DATA_META),
    mov(R2, R1),
    add(R2, MARK_BYTES),
    jumpIf(R2, ">", R7, dropped("rx.drop.noRoom")),
    store("u32", R1, 0, host.mark),
    store("u64", R10, STACK.SEGMENTS, 1),
    ...countTraffic("rx", R8),
    label(pass),
    mov(R0, XDP_VERDICT.PASS),
    exit(),
    ...drops(["rx.drop.noRoom"]),
    ...dropEnd(host, XDP_VERDICT.DROP, "xdp"),
  ];
}

/**
 * The beginning of `loden_rx`: a packet with the mark has been checked and
 * counted. R6 is the context.
 */
export function takeStripped(host: HostConstants): Instruction[] {
  const [deviceWord, deviceHalf] = macParts(host.device.mac);
  return [
    load("u32", R1, R6, SKB.DATA_META),
    load("u32", R2, R6, SKB.DATA),
    mov(R3, R1),
    add(R3, MARK_BYTES),
    jumpIf(R3, ">", R2, "not stripped"),
    load("u32", R1, R1, 0),
    jumpIf32(R1, "!=", host.mark, "not stripped"),
    // A tag that hardware took off is not in the frame: the driver's program
    // could not see it.
    ...unlessOfVlan("no tag"),
    ...counters(VERDICT.DROP, "tagged "),
    ...countDrop("rx.drop.vlanTag"),
    label("no tag"),
    // The driver verified the outer checksum, not the inner one. GRO has
    // verified merged TCP, which keeps its state.
    mov(R1, R6),
    mov(R2, CHECKSUM_UNKNOWN),
    call("csum_level"),
    // The driver's program of an earlier version leaves the addresses to this
    // one.
    load("u32", R1, R6, SKB.DATA),
    load("u32", R2, R6, SKB.DATA_END),
    mov(R3, R1),
    add(R3, ETHERNET.BYTES),
    jumpIf(R3, ">", R2, "not addressed"),
    load("u32", R2, R1, ETHERNET.DESTINATION),
    jumpIf32(R2, "!=", deviceWord, "not addressed"),
    load("u16", R2, R1, ETHERNET.DESTINATION + 4),
    jumpIf(R2, "==", deviceHalf, "addressed"),
    label("not addressed"),
    ...setMacs(host.device, "stripped without room"),
    label("addressed"),
    ...enter(host),
    label("stripped without room"),
    mov(R0, VERDICT.DROP),
    exit(),
    label("not stripped"),
  ];
}
