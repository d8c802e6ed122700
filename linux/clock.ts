/**
 * Time, as an interface.
 *
 * @module
 */

import { delay } from "@std/async/delay";

/** The clock; tests replace it. */
export interface Clock {
  /** Wall clock, milliseconds since 1970-01-01 UTC. It may jump. */
  now(): number;
  /** Milliseconds of a monotonic clock, which does not jump. */
  monotonic(): number;
  /**
   * Resolves after `milliseconds`; rejects with the signal's reason if it is or
   * was aborted.
   */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

/**
 * Pauses a loop that looks again and again: `while (await slept(clock, pauseMs,
 * signal)) look();`
 *
 * @returns whether the pause ended on its own, not by the signal.
 */
export async function slept(
  clock: Pick<Clock, "sleep">,
  milliseconds: number,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await clock.sleep(milliseconds, signal);
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (milliseconds, signal) => delay(milliseconds, signal && { signal }),
};

/** CLOCK_BOOTTIME to ten milliseconds: man 5 proc_uptime. */
const UPTIME_FILE = "/proc/uptime";

/** Nanoseconds since boot, like `bpf_ktime_get_boot_ns`. */
export function bootTimeNs(): bigint {
  const [seconds] = Deno.readTextFileSync(UPTIME_FILE).split(" ");
  return BigInt(Math.round(Number(seconds) * 100)) * 10_000_000n;
}
