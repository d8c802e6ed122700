/**
 * How long to leave a registry alone after a failure.
 *
 * @module
 */

import type { RandomSource } from "../linux/random.ts";
import { Backoff } from "../linux/backoff.ts";

/** An etcd that returns is noticed within two seconds. */
const AWAY = { firstMs: 250, maxMs: 2_000 };
/** What etcd refuses is not asked for as often as it is asked to be there. */
const REFUSED = { firstMs: 1_000, maxMs: 10_000 };

/** Codes of an etcd that is not there; all others are answers. */
const AWAY_CODES = new Set([
  "registry.dns",
  "registry.refused",
  "registry.unreachable",
  "registry.no-leader",
  "registry.deadline",
]);

/** Growing pauses, of a length that depends on the kind of failure. */
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

  /** All is well: the next pauses are short again. */
  reset(): void {
    this.#away.reset();
    this.#refused.reset();
  }
}
