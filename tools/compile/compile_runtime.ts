/**
 * The Deno that compiles, and the runtime that it appends the program to.
 *
 * @module
 */

/** How a runtime is had. */
export const RUNTIME_KINDS = ["official", "recovered"] as const;

/**
 * `official`: `deno compile` downloads it from Deno's site; `recovered`: it is cut
 * out of an npm package (`denort_recovery.ts`).
 */
export type RuntimeKind = typeof RUNTIME_KINDS[number];

/** A Deno for `deno compile`. */
export interface CompileRuntime {
  /** Path of the executable. */
  readonly deno: string;
  readonly denoVersion: string;
  /** Path of the runtime; without it Deno downloads its own. */
  readonly denort?: string;
  /** In words: what `loden version` says of the runtime. */
  readonly origin: string;
}

/** This Deno, with the runtime from Deno's own site or from its cache. */
export function officialRuntime(): CompileRuntime {
  return {
    deno: Deno.execPath(),
    denoVersion: Deno.version.deno,
    origin: "official",
  };
}
