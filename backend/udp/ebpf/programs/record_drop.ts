/**
 * The end of every packet that a program drops and counts. While the agent asks
 * for it, the packet's first bytes go to the ring buffer `loden_drops`.
 *
 * No other packet comes here, so what this costs is paid by drops alone: while
 * the agent does not ask, one load and one jump. The value of `loden_listener`
 * says until when it asks. An agent that is killed cannot take that back, so the
 * first drop after that time does.
 *
 * Each reason may fill so many records in a window of time, on all CPUs
 * together: a flood costs no more than that, and does not hide rarer reasons. A
 * CPU that finds the window full does not write to the memory that all share.
 *
 * @module
 */

import {
  add,
  and,
  atomicAdd,
  call,
  exit,
  goto,
  type Instruction,
  jumpIf,
  label,
  load,
  loadMap,
  loadMapValue,
  lsh,
  mov,
  R0,
  R1,
  R2,
  R3,
  R4,
  R6,
  R7,
  R8,
  R9,
  rsh,
  store,
} from "../../../../linux/bpf/instructions.ts";
import { type ProgramCounter, reasonNumber } from "../counters.ts";
import { DROP, LISTENER } from "../drop_maps.ts";
import type { HostConstants } from "./constants.ts";
import { SKB, XDP } from "./layout.ts";
import { count } from "./parts.ts";

/** BPF_RB_NO_WAKEUP: the agent looks by itself. */
const NO_WAKEUP = 1;
const DROP_END = "drop";

/** The label of the end that counts with this counter. */
export const dropped = (name: ProgramCounter): string => `dropped ${name}`;

/** The ends that drop packets, each with its counter; {@linkcode dropEnd} follows. */
export function drops(names: readonly ProgramCounter[]): Instruction[] {
  return names.flatMap((name) => [label(dropped(name)), ...countDrop(name)]);
}

/** Counts and drops. R9 must be the counters, R6 the context. */
export function countDrop(name: ProgramCounter): Instruction[] {
  return [
    ...count(name),
    mov(R8, reasonNumber(name)),
    goto(DROP_END),
  ];
}

/**
 * Where {@linkcode drops} lead to, once a program. R6 is the context and R8 the
 * number of the reason.
 */
export function dropEnd(
  { recordsDrops }: Pick<HostConstants, "recordsDrops">,
  verdict: number,
  type: "schedCls" | "xdp" = "schedCls",
): Instruction[] {
  return [
    label(DROP_END),
    ...(recordsDrops ? record(type) : []),
    mov(R0, verdict),
    exit(),
    ...(recordsDrops
      ? [
        label("listener gone"),
        store("u64", R7, LISTENER.UNTIL, 0),
        goto("not recorded"),
      ]
      : []),
  ];
}

function record(type: "schedCls" | "xdp"): Instruction[] {
  return [
    loadMapValue(R7, "loden_listener", 0),
    load("u64", R1, R7, LISTENER.UNTIL),
    jumpIf(R1, "==", 0, "not recorded"),
    call("ktime_get_boot_ns"),
    load("u64", R1, R7, LISTENER.UNTIL),
    jumpIf(R0, ">", R1, "listener gone"),
    // R9 was the counters.
    mov(R9, R0),
    ...takeTurn(),
    loadMap(R1, "loden_drops"),
    mov(R2, DROP.BYTES),
    mov(R3, 0),
    call("ringbuf_reserve"),
    jumpIf(R0, "==", 0, "not recorded"),
    mov(R7, R0),
    store("u64", R7, DROP.TIME, R9),
    store("u32", R7, DROP.REASON, R8),
    ...(type === "schedCls" ? describePacket() : describeFrame()),
    mov(R1, R7),
    mov(R2, NO_WAKEUP),
    call("ringbuf_submit"),
    label("not recorded"),
  ];
}

/**
 * R9 is the time, R8 the reason. A word for each reason has the number of the
 * window in its upper bits and the records of that window in its lower ones.
 */
function takeTurn(): Instruction[] {
  return [
    // For the verifier: within the value.
    mov(R1, R8),
    and(R1, LISTENER.REASONS - 1),
    lsh(R1, 3),
    add(R7, R1),
    mov(R1, R9),
    rsh(R1, LISTENER.WINDOW_BITS),
    load("u64", R2, R7, LISTENER.WINDOWS),
    mov(R3, R2),
    rsh(R3, LISTENER.COUNT_BITS),
    jumpIf(R3, "==", R1, "same window"),
    lsh(R1, LISTENER.COUNT_BITS),
    add(R1, 1),
    store("u64", R7, LISTENER.WINDOWS, R1),
    goto("has turn"),
    label("same window"),
    and(R2, (1 << LISTENER.COUNT_BITS) - 1),
    jumpIf(R2, ">=", LISTENER.MOST_PER_WINDOW, "not recorded"),
    mov(R2, 1),
    atomicAdd("u64", R7, LISTENER.WINDOWS, R2),
    label("has turn"),
  ];
}

/** R7 is the record. */
function describePacket(): Instruction[] {
  return [
    load("u32", R1, R6, SKB.INTERFACE),
    store("u32", R7, DROP.INTERFACE, R1),
    load("u32", R8, R6, SKB.LENGTH),
    store("u32", R7, DROP.LENGTH, R8),
    jumpIf(R8, "<=", DROP.CAPTURE_BYTES, "seen whole"),
    mov(R8, DROP.CAPTURE_BYTES),
    label("seen whole"),
    // The memory has an older record in it.
    store("u32", R7, DROP.CAPTURED, 0),
    // Not "== 0": the verifier of Linux 6.1 would not know that it is 1 or more.
    jumpIf(R8, "<", 1, "described"),
    mov(R1, R6),
    mov(R2, 0),
    mov(R3, R7),
    add(R3, DROP.DATA),
    mov(R4, R8),
    call("skb_load_bytes"),
    jumpIf(R0, "!=", 0, "described"),
    store("u32", R7, DROP.CAPTURED, R8),
    label("described"),
  ];
}

/**
 * The driver's program drops only what it has begun to strip, and before Linux
 * 5.18 there is no helper that copies a frame.
 */
function describeFrame(): Instruction[] {
  return [
    load("u32", R1, R6, XDP.INTERFACE),
    store("u32", R7, DROP.INTERFACE, R1),
    store("u32", R7, DROP.LENGTH, 0),
    store("u32", R7, DROP.CAPTURED, 0),
  ];
}
