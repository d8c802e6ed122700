/**
 * How busy the machine was: /proc/stat, proc_stat(5).
 *
 * @module
 */

/** USER_HZ: what /proc counts in, on every architecture that Deno runs on. */
const TICKS_PER_SECOND = 100;

/** CPU-seconds that the machine has worked since it started, all CPUs. */
export function busySeconds(stat: string = readStat()): number {
  return busySecondsOf("cpu", stat);
}

/** The same of one CPU, by its number. */
export function busySecondsOfCpu(
  cpu: number,
  stat: string = readStat(),
): number {
  return busySecondsOf(`cpu${cpu}`, stat);
}

function busySecondsOf(name: string, stat: string): number {
  const line = new RegExp(`^${name} +(.*)$`, "m").exec(stat);
  if (!line) {
    throw new Error(`Cannot read /proc/stat: it must have a line ${name}`);
  }
  const [user, nice, system, _idle, _ioWait, irq, softIrq] = line[1]!.split(" ")
    .map(Number) as [number, number, number, number, number, number, number];
  // Steal is time that the machine did not have; guest time is within user.
  return (user + nice + system + irq + softIrq) / TICKS_PER_SECOND;
}

function readStat(): string {
  return Deno.readTextFileSync("/proc/stat");
}
