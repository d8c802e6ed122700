/**
 * Time, as the rest of the system sees it.
 *
 * @module
 */

/** The clock behind which tests put their own. */
export interface Clock {
  /** Wall clock, milliseconds since 1970-01-01 UTC. It may jump. */
  now(): number;
  /** Milliseconds of a clock that never goes back and does not jump. */
  monotonic(): number;
  /**
   * Resolves after `milliseconds`; rejects with the signal's reason when it is
   * aborted, also when it was aborted before.
   */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

/**
 * Pauses a loop that looks again and again:
 * `while (await slept(clock, pauseMs, signal)) look();`
 *
 * @returns whether the pause ended by itself, not by the signal.
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
  sleep(milliseconds, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal!.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, milliseconds);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  },
};
