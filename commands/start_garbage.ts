/**
 * What loading the programs leaves in memory.
 *
 * @module
 */

import { libc } from "../linux/libc.ts";

/**
 * Collects it once: about 10 MB, which V8 would otherwise keep for good, because
 * an agent that has started allocates almost nothing.
 */
export async function collectStartGarbage(): Promise<void> {
  const [{ setFlagsFromString }, { runInNewContext }] = await Promise.all([
    import("node:v8"),
    import("node:vm"),
  ]);
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("globalThis.gc");
  if (typeof collect === "function") collect();
  // What that has freed inside the C library's heap goes back to the system.
  libc().malloc_trim(0);
}
