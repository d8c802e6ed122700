/**
 * Lists of processors, as sysfs has them.
 *
 * @module
 */

import { LodenError } from "../errors.ts";

const ONLINE_CPUS_FILE = "/sys/devices/system/cpu/online";

/** Linux can be built for 8192 processors at most (NR_CPUS). */
const LAST_CPU = 8_191;

/**
 * The numbers in `0-3,8`.
 *
 * @param file Where the list is from, for the error.
 * @throws {LodenError} `linux.cpu-list` when it is none.
 */
export function parseCpuList(text: string, file: string): number[] {
  return text.trim().split(",").flatMap((range) => {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
    if (first === undefined || Number(last) > LAST_CPU) {
      throw new LodenError(
        "linux.cpu-list",
        `Cannot tell the processors: ${file} must be a list such as 0-3,8: ` +
          `current value is ${text.trim()}`,
      );
    }
    const count = Number(last) - Number(first) + 1;
    return Array.from({ length: count }, (_, n) => Number(first) + n);
  });
}

/**
 * How many processors run. `navigator.hardwareConcurrency` is less where this
 * process may use some of them only, but the kernel's packets use all.
 */
export function onlineCpus(
  list: string = Deno.readTextFileSync(ONLINE_CPUS_FILE),
): number {
  return parseCpuList(list, ONLINE_CPUS_FILE).length;
}
