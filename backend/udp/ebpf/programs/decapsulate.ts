/**
 * Packets from the underlay to the overlay device.
 *
 * Packets that are not ours are left to the host: other ports, outer fragments
 * and outer IP options (the host reassembles them and passes them to the
 * agent's socket), frames for other machines or of a VLAN. Our packets
 * are checked in the order of the user-space data path (`receive.as.ts`):
 * lengths, version, header, header checksum, sender, destination.
 *
 * The decapsulated packet enters the host through the overlay device, so
 * routing, firewall and bridges see it like any other packet from there.
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
  jumpIf32,
  label,
  load,
  loadMap,
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
import { netmask } from "../../../../net/cidr.ts";
import {
  PROBE_ID,
  PROBE_ID_MASK,
  RECEIPT_BYTES,
  RECEIPT_MARK,
} from "../../legacy_signals.ts";
import type { ProgramCounter } from "../counters.ts";
import { PEER } from "../maps.ts";
import {
  checkArrival,
  checkArrivalOfAggregate,
  checkOtherInterface,
} from "./arrival.ts";
import type { DeviceConstants, HostConstants } from "./constants.ts";
import {
  ENCAPSULATED_BYTES,
  ETHERNET,
  ETHERTYPE_IPV4,
  FRAGMENT_MASK,
  INNER_IP,
  IPV4,
  macParts,
  networkHalf,
  networkWord,
  OUTER_BYTES,
  OUTER_IP,
  OUTER_UDP,
  PACKET_HOST,
  PLAIN_IPV4,
  PROTOCOL,
  SKB,
  UDP,
  VERDICT,
  VLAN_ID_MASK,
} from "./layout.ts";
import {
  count,
  counters,
  countTraffic,
  DECAPSULATE_UDP,
  ends,
  FIXED_GSO,
  fold,
  headerSum,
  inTime,
  linear,
  lookUpPeer,
  ROOM_MAC,
  segments,
  STACK,
} from "./parts.ts";
import { dropped, drops } from "./record_drop.ts";
import { OTHER_PROTOCOL, restoreQuotedPort } from "./source_port.ts";

/** BPF_F_INGRESS. */
const INGRESS = 1;

/**
 * How a decapsulated packet reaches the overlay device: `merge` sends TCP
 * through the hop, where the kernel merges packets (GRO); `direct` does not.
 */
export type Delivery = "merge" | "direct";

const DROPS = [
  "rx.drop.empty",
  "rx.drop.short",
  "rx.drop.notIpv4",
  "rx.drop.badHeader",
  "rx.drop.badLength",
  "rx.drop.badChecksum",
  "rx.drop.wrongDestination",
  "rx.drop.noRoom",
  "rx.legacySignals",
] as const satisfies readonly ProgramCounter[];
/**
 * The drops of a strict check; the verifier refuses unreachable instructions.
 */
const SENDER_DROPS = [
  "rx.drop.unknownSender",
  "rx.drop.wrongSource",
  "rx.drop.expired",
] as const satisfies readonly ProgramCounter[];

/**
 * R6 must be the context. Ends the program on every path, together with
 * `dropEnd`, which must follow. `hop` is the program
 * at the hop, which has the counters in R9 already: a datagram that is not one
 * packet there was not segmented and must not loop.
 */
export function decapsulate(
  host: HostConstants,
  delivery: Delivery,
  place: "underlay" | "hop",
): Instruction[] {
  const readsErrors = place === "underlay" && host.sourcePort === "hash";
  return [
    ...leaveFramesOfOthers(),
    ...linear(R7, INNER_IP, "not ours"),
    ...leavePacketsOfOthers(
      host,
      "not ours",
      readsErrors ? OTHER_PROTOCOL : "not ours",
    ),
    ...(place === "underlay" ? counters(VERDICT.DROP) : []),
    ...checkLengths(),
    ...checkInnerHeader(),
    ...checkSender(host, place),
    ...checkDestination(host),
    ...dropProbes(),
    load("u8", R7, R7, INNER_IP + IPV4.PROTOCOL),
    ...segments("rx"),
    store("u64", R10, STACK.SEGMENTS, R0),
    ...removeOuterHeaders(host),
    ...countTraffic("rx", R8),
    ...setMacs(host.device),
    ...deliver(host, delivery),
    // Off the main path.
    ...drops(DROPS),
    ...(host.senderCheck === "strict" ? drops(SENDER_DROPS) : []),
    ...dropShort(),
    ...(place === "underlay" ? checkOtherInterface(host) : []),
    ...(place === "underlay" && host.senderCheck === "strict" &&
        host.checksInterface
      ? drops(["rx.drop.wrongInterface"])
      : []),
    ...checkOptions(),
    ...(place === "underlay"
      ? aggregate(host)
      : [label("not one packet"), goto(dropped("rx.drop.badLength"))]),
    ...(readsErrors ? restoreQuotedPort(host, "not ours") : []),
    ...ends("not ours", VERDICT.NEXT),
  ];
}

function leaveFramesOfOthers(): Instruction[] {
  return [
    load("u32", R1, R6, SKB.PACKET_TYPE),
    jumpIf(R1, "!=", PACKET_HOST, "not ours"),
    ...unlessOfVlan("no VLAN"),
    goto("not ours"),
    label("no VLAN"),
    load("u32", R1, R6, SKB.PROTOCOL),
    jumpIf(R1, "!=", networkHalf(ETHERTYPE_IPV4), "not ours"),
  ];
}

/**
 * Jumps to `otherwise` unless the frame belongs to a VLAN; changes R1. A tag of
 * VLAN 0 says a priority only (802.1p), and the host takes such frames. The
 * kernel has moved the tag out of the frame, if the network card has not.
 */
export function unlessOfVlan(otherwise: string): Instruction[] {
  return [
    load("u32", R1, R6, SKB.VLAN_PRESENT),
    jumpIf(R1, "==", 0, otherwise),
    load("u32", R1, R6, SKB.VLAN_TCI),
    and(R1, VLAN_ID_MASK),
    jumpIf(R1, "==", 0, otherwise),
  ];
}

/**
 * Jumps to `otherwise` unless R7, the packet, is an intact, plain datagram for
 * the port and the underlay's address; to `otherProtocol` if it is plain, but
 * not UDP, with the protocol in R1.
 */
export function leavePacketsOfOthers(
  host: HostConstants,
  otherwise: string,
  otherProtocol = otherwise,
): Instruction[] {
  return [
    load("u8", R1, R7, OUTER_IP),
    jumpIf(R1, "!=", PLAIN_IPV4, otherwise),
    load("u16", R1, R7, OUTER_IP + IPV4.FRAGMENT),
    and(R1, networkHalf(FRAGMENT_MASK)),
    jumpIf(R1, "!=", 0, otherwise),
    load("u8", R1, R7, OUTER_IP + IPV4.PROTOCOL),
    jumpIf(R1, "!=", PROTOCOL.UDP, otherProtocol),
    load("u32", R1, R7, OUTER_IP + IPV4.DESTINATION),
    jumpIf32(R1, "!=", networkWord(host.underlayAddress), otherwise),
    load("u16", R1, R7, OUTER_UDP + UDP.DESTINATION),
    jumpIf(R1, "!=", networkHalf(host.port), otherwise),
    // The host drops and counts a damaged one.
    ...headerSum(R7, OUTER_IP),
    jumpIf(R1, "!=", 0xffff, otherwise),
  ];
}

/** R8 becomes the length of the inner packet; R7 is the packet. */
function checkLengths(): Instruction[] {
  return [
    load("u16", R8, R7, OUTER_UDP + UDP.LENGTH),
    toBigEndian(R8, 16),
    load("u16", R1, R7, OUTER_IP + IPV4.TOTAL_LENGTH),
    toBigEndian(R1, 16),
    load("u32", R2, R6, SKB.LENGTH),
    sub(R2, ETHERNET.BYTES),
    // A frame may be padded, but not truncated.
    jumpIf(R1, ">", R2, dropped("rx.drop.badLength")),
    sub(R1, IPV4.BYTES),
    jumpIf(R1, "!=", R8, dropped("rx.drop.badLength")),
    sub(R8, UDP.BYTES),
    jumpIf(R8, "s<", 0, dropped("rx.drop.badLength")),
    jumpIf(R8, "==", 0, dropped("rx.drop.empty")),
    jumpIf(R8, "<", IPV4.BYTES, "short"),
    store("u64", R10, STACK.BYTES, R8),
  ];
}

/** R7 is the packet, of which R8 bytes are too few. */
function dropShort(): Instruction[] {
  const isShort = dropped("rx.drop.short");
  return [
    label("short"),
    jumpIf(R8, "!=", RECEIPT_BYTES, isShort),
    ...linear(R7, INNER_IP + RECEIPT_BYTES, isShort),
    load("u32", R1, R7, INNER_IP),
    jumpIf32(R1, "!=", networkWord(RECEIPT_MARK), isShort),
    goto(dropped("rx.legacySignals")),
  ];
}

/**
 * Drops probes of earlier versions; R7 is the packet. Segmentation increments
 * the identification, so a segment of another packet may look like a probe.
 */
function dropProbes(): Instruction[] {
  return [
    load("u32", R1, R6, SKB.GSO_SIZE),
    jumpIf(R1, "==", 0, "no probe"),
    load("u16", R1, R7, OUTER_IP + IPV4.ID),
    and(R1, networkHalf(PROBE_ID_MASK)),
    jumpIf(R1, "==", networkHalf(PROBE_ID), dropped("rx.legacySignals")),
    label("no probe"),
  ];
}

/** R7 is the packet, R8 the length of the inner one. */
function checkInnerHeader(): Instruction[] {
  return [
    ...linear(R7, ENCAPSULATED_BYTES, dropped("rx.drop.short")),
    load("u8", R1, R7, INNER_IP),
    jumpIf(R1, "!=", PLAIN_IPV4, "not plain"),
    ...ifSeveral(),
    ...headerSum(R7, INNER_IP),
    jumpIf(R1, "!=", 0xffff, dropped("rx.drop.badChecksum")),
    label("header good"),
  ];
}

/**
 * Jumps to "not one packet" if the datagram is longer or shorter than its
 * header says.
 */
function ifSeveral(): Instruction[] {
  return [
    load("u16", R2, R7, INNER_IP + IPV4.TOTAL_LENGTH),
    toBigEndian(R2, 16),
    jumpIf(R2, "!=", R8, "not one packet"),
  ];
}

/**
 * Handles an unusual first byte, R1, and a header with options. Returns to the
 * main path.
 */
function checkOptions(): Instruction[] {
  return [
    label("not plain"),
    mov(R2, R1),
    rsh(R2, 4),
    jumpIf(R2, "!=", 4, dropped("rx.drop.notIpv4")),
    and(R1, 15),
    jumpIf(R1, "<", 5, dropped("rx.drop.badHeader")),
    lsh(R1, 2),
    jumpIf(R1, ">", R8, dropped("rx.drop.badHeader")),
    ...ifSeveral(),
    mov(R8, R1),
    // For the verifier: 20 to 60.
    and(R8, 63),
    jumpIf(R8, "<", IPV4.BYTES, dropped("rx.drop.badHeader")),
    jumpIf(R8, ">", IPV4.MOST_BYTES, dropped("rx.drop.badHeader")),
    ...zeroOptions(),
    mov(R1, R6),
    mov(R2, INNER_IP),
    mov(R3, R10),
    add(R3, STACK.OPTIONS),
    mov(R4, R8),
    call("skb_load_bytes"),
    jumpIf(R0, "!=", 0, dropped("rx.drop.short")),
    mov(R1, 0),
    mov(R2, 0),
    mov(R3, R10),
    add(R3, STACK.OPTIONS),
    mov(R4, IPV4.MOST_BYTES),
    mov(R5, 0),
    call("csum_diff"),
    mov(R1, R0),
    ...fold(R1, R2),
    jumpIf(R1, "==", 0xffff, "header good"),
    goto(dropped("rx.drop.badChecksum")),
  ];
}

/** Zeros do not change the checksum of the bytes before them. */
function zeroOptions(): Instruction[] {
  return Array.from(
    { length: IPV4.MOST_BYTES / 4 },
    (_, index) => store("u32", R10, STACK.OPTIONS + index * 4, 0),
  );
}

/** R8 becomes the peer, 0 if unknown; R7 is the packet. */
function checkSender(
  host: HostConstants,
  place: "underlay" | "hop",
): Instruction[] {
  const { senderCheck } = host;
  const mismatch: Instruction[] = senderCheck === "strict"
    ? [
      label("mismatch"),
      load("u32", R1, R7, OUTER_IP + IPV4.SOURCE),
      store("u32", R10, STACK.SCRATCH, R1),
      loadMap(R1, "loden_senders"),
      mov(R2, R10),
      add(R2, STACK.SCRATCH),
      call("map_lookup_elem"),
      jumpIf(R0, "==", 0, dropped("rx.drop.unknownSender")),
      goto(dropped("rx.drop.wrongSource")),
    ]
    : [
      label("mismatch"),
      ...(senderCheck === "count" ? count("rx.senderMismatchPassed") : []),
      mov(R8, 0),
    ];
  const expired = senderCheck === "strict"
    ? dropped("rx.drop.expired")
    : "mismatch";
  return [
    load("u32", R1, R7, INNER_IP + IPV4.SOURCE),
    ...lookUpPeer(),
    mov(R8, R0),
    jumpIf(R8, "==", 0, "mismatch"),
    load("u32", R1, R7, OUTER_IP + IPV4.SOURCE),
    load("u32", R2, R8, PEER.ADDRESS),
    jumpIf(R1, "!=", R2, "mismatch"),
    ...inTime(R8, expired, "rx"),
    // What is at the hop was looked at when it came by the underlay.
    ...(place === "underlay" ? checkArrival(host) : []),
    goto("sender good"),
    ...mismatch,
    label("sender good"),
  ];
}

/** The destination must be ours, whatever the sender check is. */
function checkDestination({ subnet }: HostConstants): Instruction[] {
  return [
    load("u32", R1, R7, INNER_IP + IPV4.DESTINATION),
    and(R1, networkWord(netmask(subnet.prefixLength))),
    jumpIf32(
      R1,
      "!=",
      networkWord(subnet.address),
      dropped("rx.drop.wrongDestination"),
    ),
  ];
}

function removeOuterHeaders({ decapUdp }: HostConstants): Instruction[] {
  return [
    mov(R1, R6),
    mov(R2, -OUTER_BYTES),
    mov(R3, ROOM_MAC),
    mov(R4, decapUdp ? FIXED_GSO | DECAPSULATE_UDP : FIXED_GSO),
    call("skb_adjust_room"),
    jumpIf(R0, "!=", 0, dropped("rx.drop.noRoom")),
  ];
}

/** A frame for another address than the device's is not for this host. */
export function setMacs(
  { mac }: DeviceConstants,
  otherwise: string = dropped("rx.drop.noRoom"),
): Instruction[] {
  const [word, half] = macParts(mac);
  const at = STACK.HEADERS;
  return [
    store("u32", R10, at, word),
    store("u32", R10, at + 4, half | (word << 16)),
    store("u32", R10, at + 8, (word >>> 16) | (half << 16)),
    mov(R1, R6),
    mov(R2, ETHERNET.DESTINATION),
    mov(R3, R10),
    add(R3, at),
    mov(R4, 12),
    mov(R5, 0),
    call("skb_store_bytes"),
    jumpIf(R0, "!=", 0, otherwise),
  ];
}

/** R7 is the inner protocol. */
function deliver(host: HostConstants, delivery: Delivery): Instruction[] {
  return [
    ...(delivery === "merge"
      ? [
        jumpIf(R7, "!=", PROTOCOL.TCP, "straight in"),
        ...redirect(host.hop.interfaceIndex, 0),
        label("straight in"),
      ]
      : []),
    ...enter(host),
  ];
}

/** Ends the program: the packet leaves or enters through a device. */
export function redirect(
  interfaceIndex: number,
  flags: number,
): Instruction[] {
  return [
    mov(R1, interfaceIndex),
    mov(R2, flags),
    call("redirect"),
    exit(),
  ];
}

/** Into the host through the overlay device. */
export function enter(host: HostConstants): Instruction[] {
  return redirect(host.device.interfaceIndex, INGRESS);
}

/**
 * Datagrams that were merged, or sent as one and not segmented yet (by a peer
 * in user space): the overlay device segments them, and its hop handles them
 * one by one.
 */
function aggregate(host: HostConstants): Instruction[] {
  return [
    label("not one packet"),
    load("u32", R1, R6, SKB.GSO_SIZE),
    jumpIf(R1, "==", 0, dropped("rx.drop.badLength")),
    ...checkArrivalOfAggregate(host),
    ...count("rx.aggregates"),
    ...setMacs(host.hop),
    ...redirect(host.device.interfaceIndex, 0),
  ];
}
