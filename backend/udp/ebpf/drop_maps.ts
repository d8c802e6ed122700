/**
 * The maps by which programs tell the agent what they drop: who asks, and the
 * ring buffer with the packets' first bytes.
 *
 * @module
 */

import type { MapSpec } from "../../../linux/bpf/bpf.ts";
import { PROGRAM_COUNTERS, type ProgramCounter } from "./counters.ts";

/** Reasons have the numbers of their counters; a power of two, with room. */
const REASONS = 64;
/** Layout versions, changed with the meaning of a value or record. */
const LISTENER_LAYOUT = 1;
const DROPS_LAYOUT = 1;

/** The value of `loden_listener`, little endian. */
export const LISTENER = {
  /** u64: until when the agent asks, CLOCK_BOOTTIME, nanoseconds; 0: it does not. */
  UNTIL: 0,
  /** u64 for each reason: the number of the window, and how many records it has. */
  WINDOWS: 8,
  REASONS,
  /** A window is 2^27 ns, 134 ms. */
  WINDOW_BITS: 27,
  COUNT_BITS: 16,
  /** 240 a second. */
  MOST_PER_WINDOW: 32,
  BYTES: 8 + 8 * REASONS,
} as const;

/** A record of `loden_drops`, little endian. */
export const DROP = {
  /** u64: CLOCK_BOOTTIME, nanoseconds. */
  TIME: 0,
  /** u32: the number of the counter. */
  REASON: 8,
  /** u32: the device that the program runs at. */
  INTERFACE: 12,
  /** u32: bytes of the frame; 0 if that is not known. */
  LENGTH: 16,
  /** u32: how many of them follow. */
  CAPTURED: 20,
  DATA: 24,
  /** Outer and inner headers with options, and the payload's beginning. */
  CAPTURE_BYTES: 128,
  BYTES: 24 + 128,
} as const;

/** The maps by their names in the programs. */
export const DROP_MAPS = {
  loden_listener: {
    name: `loden_listener${LISTENER_LAYOUT}`,
    type: "array",
    keyBytes: 4,
    valueBytes: LISTENER.BYTES,
    maxEntries: 1,
  },
  /** 819 records; the agent empties it ten times a second. */
  loden_drops: {
    name: `loden_drops${DROPS_LAYOUT}`,
    type: "ringBuffer",
    keyBytes: 0,
    valueBytes: 0,
    maxEntries: 1 << 17,
  },
} as const satisfies Record<string, MapSpec>;

/** The value that asks until then; all windows begin empty. */
export function listenerValue(untilNs: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(LISTENER.BYTES));
  view.setBigUint64(LISTENER.UNTIL, untilNs, true);
  return new Uint8Array(view.buffer);
}

/** A record as a value. */
export interface DropRecord {
  readonly timeNs: bigint;
  /** `undefined` of a program with other counters. */
  readonly reason: ProgramCounter | undefined;
  readonly interfaceIndex: number;
  readonly lengthBytes: number;
  /** The beginning of the frame. */
  readonly frame: Uint8Array;
}

/** The record in these bytes; `undefined` if they are too few. */
export function decodeDropRecord(bytes: Uint8Array): DropRecord | undefined {
  if (bytes.length < DROP.DATA) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const captured = view.getUint32(DROP.CAPTURED, true);
  return {
    timeNs: view.getBigUint64(DROP.TIME, true),
    reason: PROGRAM_COUNTERS[view.getUint32(DROP.REASON, true)],
    interfaceIndex: view.getUint32(DROP.INTERFACE, true),
    lengthBytes: view.getUint32(DROP.LENGTH, true),
    frame: bytes.slice(DROP.DATA, DROP.DATA + captured),
  };
}
