/**
 * How long to wait after a failed call.
 *
 * @module
 */

import type { RandomSource } from "../linux/random.ts";
import { Backoff } from "../linux/backoff.ts";

/** Notices within two seconds that etcd is back. */
const AWAY = { firstMs: 250, maxMs: 2_000 };
/** Refused requests are repeated less often than connection attempts. */
const REFUSED = { firstMs: 1_000, maxMs: 10_000 };

/** Codes of an etcd that is away; all others are answers. */
const AWAY_CODES = new Set([
  "registry.dns",
  "registry.refused",
  "registry.unreachable",
  "registry.no-leader",
  "registry.deadline",
]);

/** Growing pauses, whose length depends on the kind of failure. */
export class RegistryPauses {
  readonly #away: Backoff;
  readonly #refused: Backoff;

  constructor(random: RandomSource) {
    this.#away = new Backoff(random, AWAY);
    this.#refused = new Backoff(random, REFUSED);
  }

  /** The next pause, in milliseconds, after a failure with this error code. */
  next(code: string): number {
    return (AWAY_CODES.has(code) ? this.#away : this.#refused).next();
  }

  /** Resets the pauses after a success. */
  reset(): void {
    this.#away.reset();
    this.#refused.reset();
  }
}
