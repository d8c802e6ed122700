/**
 * When a lease is due for renewal and when it has expired.
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";
import type { RandomSource } from "../../linux/random.ts";

/** Durations of a lease. */
export interface LeaseTimes {
  readonly ttlSeconds: number;
  /** Before the end of the TTL. */
  readonly renewMarginSeconds: number;
}

/** The longest sleep; a clock jump is noticed within this time. */
const MAX_SLEEP_MS = 60_000;
/**
 * Renewals of hosts that started together are spread over at most this time.
 */
const MAX_JITTER_MS = 300_000;

/** Times of one grant, on both clocks. */
interface Moments {
  readonly dueMs: number;
  readonly endMs: number;
}

/**
 * Follows one lease's TTL on both clocks and uses the one that is ahead: the
 * monotonic clock stops while the machine is suspended, and the wall clock can
 * be set back. Being early costs one renewal, being late costs the lease.
 */
export class LeaseClock {
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #times: LeaseTimes;
  /** `undefined` for a reservation, which never ends. */
  #moments: { monotonic: Moments; wall: Moments } | undefined;

  constructor(clock: Clock, random: RandomSource, times: LeaseTimes) {
    this.#clock = clock;
    this.#random = random;
    this.#times = times;
  }

  /** The time to pass to {@linkcode restart}; take it before calling etcd. */
  mark(): { readonly monotonicMs: number; readonly wallMs: number } {
    return {
      monotonicMs: this.#clock.monotonic(),
      wallMs: this.#clock.now(),
    };
  }

  /** A grant that etcd made after `since`; `endless` for a reservation. */
  restart(
    since: { readonly monotonicMs: number; readonly wallMs: number },
    endless: boolean,
  ): void {
    if (endless) {
      this.#moments = undefined;
      return;
    }
    const ttlMs = this.#times.ttlSeconds * 1_000;
    // A margin as long as the TTL would renew continuously.
    const marginMs = Math.min(
      this.#times.renewMarginSeconds * 1_000,
      ttlMs / 2,
    );
    const earliestMs = ttlMs - marginMs;
    const jitterMs = this.#random.below(
      Math.floor(Math.min(MAX_JITTER_MS, earliestMs / 10)) + 1,
    );
    const moments = (startMs: number): Moments => ({
      dueMs: startMs + earliestMs - jitterMs,
      endMs: startMs + ttlMs,
    });
    this.#moments = {
      monotonic: moments(since.monotonicMs),
      wall: moments(since.wallMs),
    };
  }

  /** Wall clock, milliseconds since 1970; `undefined` for a reservation. */
  get expiresAtMs(): number | undefined {
    return this.#moments?.wall.endMs;
  }

  /** Whether the renewal is due. */
  get isDue(): boolean {
    return this.#remainingMs("dueMs") <= 0;
  }

  /** Whether the TTL is over, by this host's clocks. */
  get isExpired(): boolean {
    return this.#remainingMs("endMs") <= 0;
  }

  /** Resolves when the renewal is due, at once if it is. */
  async untilDue(signal: AbortSignal): Promise<void> {
    for (;;) {
      const remainingMs = this.#remainingMs("dueMs");
      if (remainingMs <= 0) return;
      await this.#clock.sleep(Math.min(remainingMs, MAX_SLEEP_MS), signal);
    }
  }

  #remainingMs(moment: keyof Moments): number {
    if (this.#moments === undefined) return Infinity;
    const { monotonic, wall } = this.#moments;
    return Math.min(
      monotonic[moment] - this.#clock.monotonic(),
      wall[moment] - this.#clock.now(),
    );
  }
}
