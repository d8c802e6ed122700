/**
 * Resident memory of a process: /proc/<pid>/status, proc_pid_status(5).
 *
 * @module
 */

/** In megabytes of 10^6 bytes. */
export interface ResidentMemory {
  /** VmRSS: all that is in memory. */
  readonly rssMb: number;
  /** RssAnon: what no file backs, so what this process alone costs. */
  readonly rssAnonMb: number;
}

/** Reads the kernel's figures. */
export function residentMemory(
  pid: number,
  status: string = Deno.readTextFileSync(`/proc/${pid}/status`),
): ResidentMemory {
  const megabytes = (name: string) => {
    const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status);
    if (!match) {
      throw new Error(`Cannot read the memory of process ${pid}: no ${name}`);
    }
    return Number(match[1]) * 1024 / 1e6;
  };
  return { rssMb: megabytes("VmRSS"), rssAnonMb: megabytes("RssAnon") };
}
