/**
 * Files that may be missing, as in `/proc` and `/sys`.
 *
 * @module
 */

import { ifThere } from "./proc.ts";

/** Its text; `undefined` if it is missing or this user may not read it. */
export function readIfThere(path: string): string | undefined {
  return ifThere(() => Deno.readTextFileSync(path));
}

/** Whether there is such a file, and this user may look. */
export function exists(path: string): boolean {
  return ifThere(() => Deno.statSync(path)) !== undefined;
}
