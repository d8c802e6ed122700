/**
 * The command line of a program in this directory.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";

/** How `name` is run: by the Deno that runs this. */
export function program(name: string, ...args: string[]): string[] {
  const path = fromFileUrl(new URL(name, import.meta.url));
  return [Deno.execPath(), "run", "-A", path, ...args];
}
