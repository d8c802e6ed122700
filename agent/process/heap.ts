/**
 * What an agent that runs for months keeps in memory.
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";
import { libc } from "../../linux/libc.ts";
import { releaseProgramPages } from "../../linux/program_pages.ts";

/** V8's collector, as `--expose-gc` shows it. */
export type Collector = (options: { type: "major" | "minor" }) => void;

/** How often the young generation is emptied. */
const PAUSE_MS = 30_000;
/** After so many times everything is collected. */
const MINORS_PER_MAJOR = 4;

/**
 * Collects once what only the start needed, about 10 MB of objects and 30 MB of
 * the runtime's own code, and then every half minute the little that the agent has
 * allocated since; until `signal`.
 *
 * V8 leaves both alone: it collects when its young generation of 16 MiB is full,
 * which takes an idle agent many minutes, and until then every page that was
 * ever touched stays resident. A minor collection takes about a millisecond.
 *
 * And every two minutes all of it: each program that was run (`iptables-save`, four
 * in five seconds) leaves about 100 kB in the C library's heap, which hang on a few
 * small old objects, and V8 does not count it. Packets flow on meanwhile: no data
 * path is on this thread.
 */
export async function keepHeapSmall(
  clock: Pick<Clock, "sleep">,
  signal: AbortSignal,
  given?: Collector,
): Promise<void> {
  const collect = given ?? await exposeCollector();
  if (collect === undefined) return;
  collect({ type: "major" });
  trim();
  releaseProgramPages();
  for (let round = 1; !signal.aborted; round++) {
    try {
      await clock.sleep(PAUSE_MS, signal);
    } catch {
      // Only the signal interrupts a sleep.
      return;
    }
    const isMajor = round % MINORS_PER_MAJOR === 0;
    collect({ type: isMajor ? "major" : "minor" });
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
