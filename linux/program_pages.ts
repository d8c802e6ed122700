/**
 * The pages of the program's own file that are in this process's memory.
 *
 * @module
 */

import { libc } from "./libc.ts";

/** `MADV_DONTNEED` of madvise(2). */
const MADV_DONTNEED = 4;

/** A part of the address space, as /proc/pid/smaps has it (proc_pid_smaps(5)). */
export interface FileMapping {
  readonly startAddress: number;
  readonly lengthBytes: number;
}

/**
 * The mappings of a file that this process has not written to, so that each page
 * of them is still the file's.
 *
 * @param smaps The text of /proc/pid/smaps.
 */
export function unchangedMappings(smaps: string, path: string): FileMapping[] {
  const found: FileMapping[] = [];
  let mapping: FileMapping | undefined;
  for (const line of smaps.split("\n")) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) r(?:-x|--)p [0-9a-f]+ \S+ \d+ +(.*)$/
      .exec(
        line,
      );
    if (head) {
      const startAddress = Number.parseInt(head[1]!, 16);
      const lengthBytes = Number.parseInt(head[2]!, 16) - startAddress;
      mapping = head[3] === path ? { startAddress, lengthBytes } : undefined;
    } else if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) {
      mapping = undefined;
    } else if (mapping && /^Anonymous: +0 kB$/.test(line)) {
      found.push(mapping);
    }
  }
  return found;
}

/**
 * Drops the program's code and constants from this process's memory. Pages that
 * are needed again come back at their first use, from the system's page cache;
 * those that only the start needed, about 25 MB in the binary, stay out.
 */
export function releaseProgramPages(): void {
  const smaps = Deno.readTextFileSync("/proc/self/smaps");
  const path = Deno.readLinkSync("/proc/self/exe");
  for (const { startAddress, lengthBytes } of unchangedMappings(smaps, path)) {
    // Locked memory (mlockall) is refused and stays.
    libc().madvise(startAddress, lengthBytes, MADV_DONTNEED);
  }
}
