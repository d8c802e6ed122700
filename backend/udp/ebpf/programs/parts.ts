/**
 * Parts that all programs share.
 *
 * Registers: R6 is the context, R9 the counters of this CPU. Each program
 * defines R7 and R8. Calls destroy R1 to R5.
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
  loadMap,
  mov,
  mov32,
  R0,
  R1,
  R10,
  R2,
  R3,
  R6,
  R9,
  type Register,
  rsh,
  store,
} from "../../../../linux/bpf/instructions.ts";
import {
  CLOCK_OFFSET,
  CLOCK_TICK_OFFSET,
  counterOffset,
  type ProgramCounter,
} from "../counters.ts";
import { PEER, TRAFFIC } from "../maps.ts";
import { SKB } from "./layout.ts";

/** Offsets on the stack, in bytes below its end. */
export const STACK = {
  /** Keys of look-ups, 8 bytes. */
  SCRATCH: -8,
  /** The number of packets that the packet counts as, 8 bytes. */
  SEGMENTS: -16,
  /** Bytes of the overlay's packet, 8 bytes. */
  BYTES: -24,
  /** Outer headers, 28 bytes, or two MAC addresses, 12 bytes. */
  HEADERS: -56,
  /** An inner header with options, 60 bytes. */
  OPTIONS: -120,
  /** The inner protocol, 4 bytes. */
  PROTOCOL: -124,
  /** The outer source port, 4 bytes. */
  SOURCE_PORT: -128,
  /** The sum of the inner pseudo header, 8 bytes. */
  PSEUDO_SUM: -136,
  /** A question to the host's routing, 64 bytes. */
  FIB: -200,
} as const;

/** BPF_ADJ_ROOM_MAC: the room is between the Ethernet and the IP header. */
export const ROOM_MAC = 1;
/** BPF_F_ADJ_ROOM_FIXED_GSO: the overlay's MTU has left room already. */
export const FIXED_GSO = 1;
/**
 * BPF_F_ADJ_ROOM_DECAP_L4_UDP: the packet is no longer a tunnel's. Linux 7.3.
 */
export const DECAPSULATE_UDP = 1 << 10;

/**
 * R9 becomes the counters of this CPU, which always exist; otherwise the
 * program ends.
 */
export function counters(verdict: number, unique = ""): Instruction[] {
  const found = `${unique}counters found`;
  return [
    store("u32", R10, STACK.SCRATCH, 0),
    loadMap(R1, "loden_counters"),
    mov(R2, R10),
    add(R2, STACK.SCRATCH),
    call("map_lookup_elem"),
    jumpIf(R0, "!=", 0, found),
    mov(R0, verdict),
    exit(),
    label(found),
    mov(R9, R0),
  ];
}

/** Adds `amount` to a counter; uses R3. A CPU runs one program at a time. */
export function count(
  name: ProgramCounter,
  amount: Register | number = 1,
): Instruction[] {
  const offset = counterOffset(name);
  return [
    load("u64", R3, R9, offset),
    add(R3, amount),
    store("u64", R9, offset, R3),
  ];
}

/** An end without a counter. */
export function ends(name: string, verdict: number): Instruction[] {
  return [label(name), mov(R0, verdict), exit()];
}

/**
 * `data` becomes the start of the packet, of which `bytes` can be read; jumps
 * to `otherwise` if there are fewer. Pulls in data from the packet's fragments
 * first, which invalidates earlier pointers.
 */
export function linear(
  data: Register,
  bytes: number,
  otherwise: string,
): Instruction[] {
  const seen = `${bytes} bytes seen`;
  const look = (elsewhere: string): Instruction[] => [
    load("u32", data, R6, SKB.DATA),
    load("u32", R2, R6, SKB.DATA_END),
    mov(R1, data),
    add(R1, bytes),
    jumpIf(R1, ">", R2, elsewhere),
  ];
  return [
    load("u32", data, R6, SKB.DATA),
    load("u32", R2, R6, SKB.DATA_END),
    mov(R1, data),
    add(R1, bytes),
    jumpIf(R1, "<=", R2, seen),
    mov(R1, R6),
    mov(R2, bytes),
    call("skb_pull_data"),
    jumpIf(R0, "!=", 0, otherwise),
    ...look(otherwise),
    label(seen),
  ];
}

/**
 * R0 becomes the peer whose subnet contains the address in R1 (network byte
 * order), or 0.
 */
export function lookUpPeer(): Instruction[] {
  return [
    store("u32", R10, STACK.SCRATCH, 32),
    store("u32", R10, STACK.SCRATCH + 4, R1),
    loadMap(R1, "loden_peers"),
    mov(R2, R10),
    add(R2, STACK.SCRATCH),
    call("map_lookup_elem"),
  ];
}

/**
 * Jumps to `otherwise` if the deadline of `peer` has passed; 0 means none. R9
 * must be the counters: they are followed by the boot-time clock, read once per
 * tick.
 */
export function inTime(
  peer: Register,
  otherwise: string,
  unique: string,
): Instruction[] {
  const good = `${unique} in time`;
  const known = `${unique} time known`;
  return [
    load("u64", R1, peer, PEER.DEADLINE),
    jumpIf(R1, "==", 0, good),
    call("jiffies64"),
    load("u64", R1, R9, CLOCK_TICK_OFFSET),
    jumpIf(R0, "==", R1, known),
    store("u64", R9, CLOCK_TICK_OFFSET, R0),
    call("ktime_get_boot_ns"),
    store("u64", R9, CLOCK_OFFSET, R0),
    label(known),
    load("u64", R0, R9, CLOCK_OFFSET),
    load("u64", R1, peer, PEER.DEADLINE),
    jumpIf(R0, ">", R1, otherwise),
    label(good),
  ];
}

/**
 * R0 becomes the number of packets on the wire: more than one for a
 * super-packet. `unique` is in front of its label.
 */
export function segments(unique: string): Instruction[] {
  const known = `${unique} segments`;
  return [
    load("u32", R0, R6, SKB.GSO_SEGMENTS),
    jumpIf(R0, "!=", 0, known),
    mov(R0, 1),
    label(known),
  ];
}

/**
 * Adds {@linkcode STACK}.SEGMENTS and .BYTES to the totals and to those of
 * `peer`; uses R0 to R3.
 */
export function countTraffic(
  direction: "tx" | "rx",
  peer: Register,
): Instruction[] {
  const isTx = direction === "tx";
  const addTo = (base: Register, offset: number, from: number) => [
    load("u64", R1, R10, from),
    load("u64", R2, base, offset),
    add(R2, R1),
    store("u64", base, offset, R2),
  ];
  return [
    ...addTo(R9, counterOffset(`${direction}.packets`), STACK.SEGMENTS),
    ...addTo(R9, counterOffset(`${direction}.bytes`), STACK.BYTES),
    load("u64", R1, R10, STACK.SEGMENTS),
    jumpIf(R1, "==", 1, `no ${direction} super-packet`),
    ...count(`${direction}.superPackets`),
    label(`no ${direction} super-packet`),
    jumpIf(peer, "==", 0, `${direction} traffic counted`),
    load("u32", R1, peer, PEER.SLOT),
    store("u32", R10, STACK.SCRATCH, R1),
    loadMap(R1, "loden_traffic"),
    mov(R2, R10),
    add(R2, STACK.SCRATCH),
    call("map_lookup_elem"),
    jumpIf(R0, "==", 0, `${direction} traffic counted`),
    ...addTo(
      R0,
      isTx ? TRAFFIC.TX_PACKETS : TRAFFIC.RX_PACKETS,
      STACK.SEGMENTS,
    ),
    ...addTo(R0, isTx ? TRAFFIC.TX_BYTES : TRAFFIC.RX_BYTES, STACK.BYTES),
    label(`${direction} traffic counted`),
  ];
}

/** Folds a sum below 2^32 to 16 bits. */
export function fold(sum: Register, scratch: Register): Instruction[] {
  const once = [
    mov(scratch, sum),
    rsh(scratch, 16),
    and(sum, 0xffff),
    add(sum, scratch),
  ];
  return [...once, ...once];
}

/**
 * R1 becomes the sum of the header without options at `at` in `packet`: 0xffff
 * if its checksum is right. Uses R2.
 */
export function headerSum(packet: Register, at: number): Instruction[] {
  return [
    mov(R1, 0),
    ...[0, 4, 8, 12, 16].flatMap((offset) => [
      load("u32", R2, packet, at + offset),
      add(R1, R2),
    ]),
    // From 35 bits to 33; then folded.
    mov(R2, R1),
    rsh(R2, 32),
    mov32(R1, R1),
    add(R1, R2),
    ...fold(R1, R2),
  ];
}
