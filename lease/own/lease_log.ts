/**
 * Logs changes of a lease's state, one line each.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { type Cidr, formatCidr } from "../../net/cidr.ts";
import type { LeaseState } from "./lease_state.ts";

const log = getLogger(["loden", "lease"]);

/** What is known in addition to the state. */
export interface LeaseLogContext {
  readonly subnet?: Cidr;
  /** Wall clock, milliseconds since 1970; `undefined` for a reservation. */
  readonly expiresAtMs: number | undefined;
  /** What led to the change, if it was an error. */
  readonly error: unknown;
}

/** Logs a change of state, except for normal transitions. */
export function logLeaseState(
  before: LeaseState,
  { phase, cause }: LeaseState,
  { subnet, expiresAtMs, error }: LeaseLogContext,
): void {
  const why = error === undefined
    ? cause === undefined ? {} : { reason: cause.message }
    : { error };
  const fields = {
    state: phase,
    ...(subnet === undefined ? {} : { subnet: formatCidr(subnet) }),
    ...(cause === undefined ? {} : { cause: cause.code }),
    ...why,
  };
  switch (phase) {
    case "acquiring":
      return log.warn("waiting for a lease", {
        event: "lease.waiting",
        ...fields,
      });
    case "held":
      if (before.cause === undefined || before.phase === "acquiring") return;
      return log.info("lease is held again", {
        event: "lease.recovered",
        was: before.phase,
        because: before.cause.code,
        ...fields,
      });
    case "renewing":
      if (cause === undefined) return;
      return log.warn("lease is lost; acquiring it again", {
        event: "lease.lost",
        ...fields,
      });
    case "degraded":
      return log.warn(
        "lease cannot be checked or renewed; traffic continues",
        {
          event: "lease.degraded",
          ...fields,
          expires: formatExpiry(expiresAtMs),
        },
      );
    case "expired-but-serving":
      return log.error("lease has expired; traffic continues", {
        event: "lease.expired",
        ...fields,
      });
    case "conflict":
      return log.error("subnet has another holder; traffic continues", {
        event: "lease.conflict",
        ...fields,
      });
  }
}

/** RFC 3339; `never` for a reservation. */
export function formatExpiry(milliseconds: number | undefined): string {
  return milliseconds === undefined
    ? "never"
    : new Date(milliseconds).toISOString();
}
