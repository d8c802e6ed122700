/**
 * Kernel settings.
 *
 * @module
 */

import { readIfThere } from "./read_if_there.ts";

/** By its path below `/proc/sys`; `undefined` if it cannot be read. */
export function readSysctl(path: string): string | undefined {
  return readIfThere(`/proc/sys/${path}`)?.trim();
}
