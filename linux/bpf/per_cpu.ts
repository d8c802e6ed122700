/**
 * Values of maps per CPU.
 *
 * Each possible CPU (not only those that run) has a value of its own. User space
 * gets all of them one after the other, each rounded up to 8 bytes. Source:
 * `kernel/bpf/arraymap.c`, `bpf_percpu_array_copy`.
 *
 * @module
 */

import { parseCpuList } from "../cpu_list.ts";

const POSSIBLE_CPUS_FILE = "/sys/devices/system/cpu/possible";

/** Bytes that one CPU's value takes. */
export function perCpuStrideBytes(valueBytes: number): number {
  return Math.ceil(valueBytes / 8) * 8;
}

/** The value of each CPU; views into `value`. */
export function perCpuValues(
  value: Uint8Array,
  valueBytes: number,
): Uint8Array[] {
  const stride = perCpuStrideBytes(valueBytes);
  const values: Uint8Array[] = [];
  for (let at = 0; at + stride <= value.length; at += stride) {
    values.push(value.subarray(at, at + valueBytes));
  }
  return values;
}

/** Each 64-bit number of a value, summed over all CPUs; exact up to 2^53. */
export function sumPerCpu(value: Uint8Array, valueBytes: number): number[] {
  const sums = new Array<number>(valueBytes >> 3).fill(0);
  for (const one of perCpuValues(value, valueBytes)) {
    const view = new DataView(one.buffer, one.byteOffset, one.byteLength);
    for (let i = 0; i < sums.length; i++) {
      sums[i]! += Number(view.getBigUint64(i * 8, true));
    }
  }
  return sums;
}

/**
 * The number of CPUs that the kernel keeps values for. Throws if it cannot be
 * read.
 */
export function possibleCpus(
  list: string = Deno.readTextFileSync(POSSIBLE_CPUS_FILE),
): number {
  return parseCpuList(list, POSSIBLE_CPUS_FILE).length;
}
