/**
 * The Deno that compiles, and the runtime that it appends the program to.
 *
 * @module
 */

/** A Deno for `deno compile`. */
export interface CompileRuntime {
  /** Path of the executable. */
  readonly deno: string;
  readonly denoVersion: string;
  /** Path of the runtime; without it Deno downloads its own. */
  readonly denort?: string;
}

/** This Deno, with the runtime from Deno's own site or from its cache. */
export function ownRuntime(): CompileRuntime {
  return { deno: Deno.execPath(), denoVersion: Deno.version.deno };
}
