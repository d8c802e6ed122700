/**
 * Counts how often this host's lease was lost.
 *
 * @module
 */

import type { LeaseStatus } from "../status/status_snapshot.ts";

/** Codes of the lease's causes without `lease.`, and `expired`. */
export const LOSS_CAUSES = [
  "deleted",
  "unreadable",
  "taken",
  "expired",
] as const;

/** One of them. */
export type LossCause = typeof LOSS_CAUSES[number];

/** Follows the lease through its states (docs/lease.md). */
export class LeaseLosses {
  readonly #counts = new Map<LossCause, number>();
  #state: string | undefined;

  /** Call it with each status of the lease; the same again counts nothing. */
  follow({ state, causeCode }: LeaseStatus): void {
    const before = this.#state;
    this.#state = state;
    if (state === before) return;
    const cause = lossOf(state, causeCode);
    if (cause === undefined) return;
    this.#counts.set(cause, this.count(cause) + 1);
  }

  count(cause: LossCause): number {
    return this.#counts.get(cause) ?? 0;
  }
}

function lossOf(
  state: string,
  causeCode: string | null,
): LossCause | undefined {
  switch (state) {
    case "conflict":
      return "taken";
    case "expired-but-serving":
      return "expired";
    case "renewing":
      return LOSS_CAUSES.find((cause) => `lease.${cause}` === causeCode);
    default:
      return undefined;
  }
}
