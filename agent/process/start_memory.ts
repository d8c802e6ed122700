/**
 * The memory that only the start needed.
 *
 * @module
 */

import { type Clock, slept } from "../../linux/clock.ts";
import { libc } from "../../linux/libc.ts";
import { releaseProgramPages } from "../../linux/program_pages.ts";

/**
 * Between being ready, the first release and the second. Packets and Docker come
 * first. Half a minute after the start V8 collects what the start has left, and
 * only then does the C library's heap have free pages.
 */
const PAUSES_MS = [1_000, 59_000];

/**
 * Gives memory back twice. Call it when the agent is ready.
 *
 * @param release Another action than giving memory back: for tests.
 */
export async function releaseStartMemory(
  clock: Pick<Clock, "sleep">,
  signal: AbortSignal,
  release: () => void = releaseMemory,
): Promise<void> {
  for (const pauseMs of PAUSES_MS) {
    if (!await slept(clock, pauseMs, signal)) return;
    release();
  }
}

function releaseMemory(): void {
  libc().malloc_trim(0);
  releaseProgramPages();
}
