/**
 * Names of rigs: unique, and telling whose they are.
 *
 * A name is `loden-<pid>-<start>-<n>`; `start` is the owner's start time in
 * clock ticks since boot (`/proc/<pid>/stat`, field 22), base 36, so that a
 * recycled process id is not taken for the owner.
 *
 * @module
 */

import { isProcessGone } from "../../linux/proc.ts";

const PATTERN = /^loden-(\d+)-([0-9a-z]+)-\d+(-|$)/;

let counter = 0;

/** A name that no other rig has, of this process. */
export function uniqueRigName(): string {
  counter += 1;
  return `loden-${Deno.pid}-${startTicks(Deno.pid)?.toString(36)}-${counter}`;
}

/** Whether the namespace or directory `name` was left by a process that is gone. */
export function isLeftover(
  name: string,
  startTicksOf: (pid: number) => number | undefined = startTicks,
): boolean {
  const match = PATTERN.exec(name);
  if (!match) return false;
  return startTicksOf(Number(match[1]))?.toString(36) !== match[2];
}

/** Whether the namespace or directory `name` is this process's. */
export function isOwn(name: string): boolean {
  const match = PATTERN.exec(name);
  return match !== null && Number(match[1]) === Deno.pid && !isLeftover(name);
}

/** Whether `name` is the rig `rigName` or a part of it. */
export function belongsTo(name: string, rigName: string): boolean {
  return name === rigName || name.startsWith(`${rigName}-`);
}

/** When a process started, clock ticks since boot; `undefined` when it is gone. */
export function startTicks(pid: number): number | undefined {
  let stat: string;
  try {
    stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  } catch (error) {
    if (isProcessGone(error)) return undefined;
    throw error;
  }
  // The name in field 2 may hold spaces and parentheses, so count from its end.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[19]);
}
