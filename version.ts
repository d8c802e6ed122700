/**
 * Which Loden this is; `deno.json` says it once.
 *
 * @module
 */

import project from "./deno.json" with { type: "json" };

/** Semantic version, without a `v`. */
export const VERSION: string = project.version;

/** The commit, which `tools/compile` writes beside the version in a binary. */
export const COMMIT: string | undefined =
  (project as { readonly commit?: string }).commit;
