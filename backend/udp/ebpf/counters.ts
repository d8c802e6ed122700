/**
 * The counters of the programs, by the names that operators see.
 *
 * Counters that the user-space data path also has mean the same there.
 *
 * @module
 */

import { perCpuValues, sumPerCpu } from "../../../linux/bpf/per_cpu.ts";
import type { CpuTraffic } from "./flow_spreading.ts";

/**
 * The counters in the order of the map. The names are an interface: they are in
 * `loden status`, in the log and in `docs/datapath.md`.
 */
export const PROGRAM_COUNTERS = [
  "tx.packets",
  "tx.bytes",
  "tx.superPackets",
  "tx.cut",
  "tx.drop.short",
  "tx.drop.notIpv4",
  "tx.drop.badHeader",
  "tx.drop.noPeer",
  "tx.drop.expired",
  "tx.drop.noRoom",
  "rx.packets",
  "rx.bytes",
  "rx.superPackets",
  "rx.aggregates",
  "rx.senderMismatchPassed",
  "rx.drop.empty",
  "rx.drop.short",
  "rx.drop.notIpv4",
  "rx.drop.badHeader",
  "rx.drop.badLength",
  "rx.drop.badChecksum",
  "rx.drop.unknownSender",
  "rx.drop.wrongSource",
  "rx.drop.expired",
  "rx.drop.wrongDestination",
  "rx.drop.noRoom",
  "rx.legacySignals",
  "rx.drop.wrongInterface",
  "rx.drop.vlanTag",
] as const;

/** One of them. */
export type ProgramCounter = typeof PROGRAM_COUNTERS[number];

const WORD_BYTES = 8;

/**
 * After the counters of a CPU: the boot-time clock in nanoseconds and the tick
 * at which it was read. Reading it for each packet would cost as much as all
 * checks.
 */
export const CLOCK_OFFSET = PROGRAM_COUNTERS.length * WORD_BYTES;
export const CLOCK_TICK_OFFSET = CLOCK_OFFSET + WORD_BYTES;

/** Size of the block of one CPU. */
export const COUNTER_BLOCK_BYTES = CLOCK_TICK_OFFSET + WORD_BYTES;

/** Where a counter is in the block, bytes. */
export function counterOffset(name: ProgramCounter): number {
  return PROGRAM_COUNTERS.indexOf(name) * WORD_BYTES;
}

/** By which programs and records name a reason. */
export function reasonNumber(name: ProgramCounter): number {
  return PROGRAM_COUNTERS.indexOf(name);
}

/** Sums the blocks of all CPUs. */
export function readProgramCounters(
  value: Uint8Array,
): Record<ProgramCounter, number> {
  const sums = sumPerCpu(value, COUNTER_BLOCK_BYTES);
  return Object.fromEntries(
    PROGRAM_COUNTERS.map((name, index) => [name, sums[index]!]),
  ) as Record<ProgramCounter, number>;
}

/** What each CPU has received from the underlay. */
export function readReceived(value: Uint8Array): CpuTraffic[] {
  return perCpuValues(value, COUNTER_BLOCK_BYTES).map((block) => {
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    const number = (name: ProgramCounter) =>
      Number(view.getBigUint64(counterOffset(name), true));
    return {
      bytes: number("rx.bytes"),
      superPackets: number("rx.superPackets"),
    };
  });
}
