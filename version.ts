/**
 * Which Loden this is; `deno.json` says it once.
 *
 * @module
 */

import project from "./deno.json" with { type: "json" };

/** Semantic version, without a `v`. */
export const VERSION: string = project.version;

/** What `tools/compile` writes beside the version in a binary. */
const built: typeof project & {
  readonly commit?: string;
  readonly runtime?: string;
} = project;

/** The commit of a binary's sources. */
export const COMMIT: string | undefined = built.commit;

/**
 * Where a binary's runtime comes from: `official`, or `recovered from npm:…`
 * (docs/binary.md).
 */
export const RUNTIME: string | undefined = built.runtime;
