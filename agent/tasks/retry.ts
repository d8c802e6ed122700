/**
 * Repeats an attempt until it succeeds.
 *
 * @module
 */

import { LodenError } from "../../errors.ts";
import { Backoff } from "../../linux/backoff.ts";
import type { Clock } from "../../linux/clock.ts";
import type { RandomSource } from "../../linux/random.ts";

/** The clock and random numbers that waiting needs. */
export interface RetryComponents {
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** Pauses between attempts, and a callback. */
export interface RetryOptions {
  readonly signal: AbortSignal;
  /** The first pause; each next one is twice as long. */
  readonly firstMs?: number;
  /** The longest pause. */
  readonly maxMs?: number;
  /** Called with every failure that waiting may cure. */
  readonly onFailure: (error: unknown) => void;
}

const FIRST_MS = 500;
const MAX_MS = 5_000;

/**
 * Repeats `attempt` until it succeeds, with growing pauses.
 *
 * @throws the signal's reason if aborted; at once any error that
 * {@linkcode waitingMayCure} rejects.
 */
export async function retryUntilDone<T>(
  attempt: (signal: AbortSignal) => Promise<T> | T,
  { clock, random }: RetryComponents,
  options: RetryOptions,
): Promise<T> {
  const { signal, firstMs = FIRST_MS, maxMs = MAX_MS, onFailure } = options;
  const backoff = new Backoff(random, { firstMs, maxMs });
  for (;;) {
    signal.throwIfAborted();
    try {
      return await attempt(signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!waitingMayCure(error)) throw error;
      onFailure(error);
    }
    await clock.sleep(backoff.next(), signal);
  }
}

/**
 * Whether the same attempt may succeed later. It may not if the error has
 * `retryable: false` or can only come from a bug.
 */
export function waitingMayCure(error: unknown): boolean {
  if (error instanceof LodenError) {
    return !("retryable" in error) || error.retryable !== false;
  }
  return error instanceof Error &&
    !(error instanceof TypeError || error instanceof ReferenceError ||
      error instanceof RangeError || error instanceof SyntaxError);
}
