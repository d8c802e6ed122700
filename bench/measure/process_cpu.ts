/**
 * How much a process has worked: /proc/<pid>/stat, proc_pid_stat(5).
 *
 * @module
 */

/** USER_HZ, as in `cpu.ts`. */
const TICKS_PER_SECOND = 100;
/** Of the fields after the program's name, which may have spaces. */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;

/** CPU-seconds of all its threads since it started, in the kernel too. */
export function processSeconds(
  pid: number,
  stat: string = Deno.readTextFileSync(`/proc/${pid}/stat`),
): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
  const ticks = fields[USER_TICKS]! + fields[SYSTEM_TICKS]!;
  if (Number.isNaN(ticks)) {
    throw new Error(`Cannot read the work of process ${pid}: it says ${stat}`);
  }
  return ticks / TICKS_PER_SECOND;
}
