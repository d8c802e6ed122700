/**
 * Which Loden this is; `deno.json` says it once.
 *
 * @module
 */

import project from "./deno.json" with { type: "json" };

/** Semantic version, without a `v`. */
export const VERSION: string = project.version;
