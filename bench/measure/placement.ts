/**
 * Which CPUs the two programs of a measurement run on, where that decides more
 * than the path does.
 *
 * @module
 */

/** Which CPU each of the two programs is kept on. */
export interface ProgramCpus {
  readonly client: number;
  readonly server: number;
}

/**
 * Both on one: a round trip then has no waking of an idle CPU in it, which takes
 * longer than the path, and which the scheduler has now and then and now not.
 */
export const ONE_CPU: ProgramCpus = { client: 0, server: 0 };

/** One each, as far as there are two. */
export const CPU_EACH: ProgramCpus = {
  client: 0,
  server: Math.min(1, navigator.hardwareConcurrency - 1),
};

/** What stands before a program to keep it on a CPU, if it is to be kept. */
export function onCpu(cpu: number | undefined): string[] {
  return cpu === undefined ? [] : ["taskset", "--cpu-list", String(cpu)];
}

/**
 * The same with real-time priority: no program without it has the CPU meanwhile.
 * If one end wakes the other on its CPU, it goes on until it waits itself;
 * without the priority, the scheduler decides that differently each time.
 */
export function onCpuAlone(cpu: number, priority = 1): string[] {
  return ["chrt", "--rr", String(priority), ...onCpu(cpu)];
}
