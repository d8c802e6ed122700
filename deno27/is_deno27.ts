/**
 * Whether the work-arounds of this folder act.
 *
 * @module
 */

/** Whether a Deno has the faults of 2.7: each version before 2.9 does. */
export function isDeno27(version: string = Deno.version.deno): boolean {
  const [major, minor] = version.split(".").map(Number);
  return major! < 2 || (major === 2 && minor! < 9);
}
