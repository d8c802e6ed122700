/**
 * What an agent that runs for months keeps in memory.
 *
 * @module
 */

import type { Clock } from "../linux/clock.ts";
import { libc } from "../linux/libc.ts";
import { releaseProgramPages } from "../linux/program_pages.ts";

/** V8's collector, as `--expose-gc` shows it. */
type Collector = (options: { type: "major" | "minor" }) => void;

/** How often the young generation is emptied. */
const PAUSE_MS = 30_000;

/**
 * Collects once what only the start needed, about 10 MB of objects and 30 MB of
 * the runtime's own code, and then every half minute the little that the agent has
 * allocated since; until `signal`.
 *
 * V8 leaves both alone: it collects when its young generation of 16 MiB is full,
 * which takes an idle agent many minutes, and until then every page that was
 * ever touched stays resident. A minor collection takes about a millisecond.
 */
export async function keepHeapSmall(
  clock: Pick<Clock, "sleep">,
  signal: AbortSignal,
): Promise<void> {
  const collect = await exposeCollector();
  if (collect === undefined) return;
  collect({ type: "major" });
  trim();
  releaseProgramPages();
  while (!signal.aborted) {
    try {
      await clock.sleep(PAUSE_MS, signal);
    } catch {
      // Only the signal ends a sleep early.
      return;
    }
    collect({ type: "minor" });
    trim();
  }
}

/** What is free inside the C library's heap goes back to the system. */
function trim(): void {
  libc().malloc_trim(0);
}

async function exposeCollector(): Promise<Collector | undefined> {
  // The binary has its flags from the start (`tools/compile/deno_flags.ts`).
  const { gc } = globalThis as { gc?: Collector };
  if (gc !== undefined) return gc;
  const [{ setFlagsFromString }, { runInNewContext }] = await Promise.all([
    import("node:v8"),
    import("node:vm"),
  ]);
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("globalThis.gc");
  return typeof collect === "function" ? collect as Collector : undefined;
}
