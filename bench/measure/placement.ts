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
 * The same, and no other program of the machine has the CPU meanwhile. It also
 * decides who runs when one end wakes the other on its CPU: the other waits
 * until the first one does. Otherwise it is at times this and at times that.
 */
export function onCpuAlone(cpu: number, priority = 1): string[] {
  return ["chrt", "--rr", String(priority), ...onCpu(cpu)];
}
