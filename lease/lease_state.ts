/**
 * What a host's lease is going through, as values.
 *
 * ```
 *              acquired          renewal-begun, lost
 *   acquiring ----------> held ----------------------> renewing
 *
 *   held, renewing ------------- failed -------------> degraded
 *   held, renewing, degraded --- ttl-passed ---------> expired-but-serving
 *   all but acquiring ---------- taken --------------> conflict
 *   conflict ------------------- acquired -----------> held, another subnet
 *   all but acquiring ---------- confirmed ----------> held
 * ```
 *
 * In every phase but `acquiring` the data path carries packets, and none leads
 * back to it. `docs/lease.md` has the table for operators.
 *
 * @module
 */

/**
 * - `acquiring`: no lease yet; a data path that already runs is left alone.
 * - `held`: etcd has confirmed the lease.
 * - `renewing`: the lease is being written again: on its margin, with another
 *   value, or after a loss.
 * - `degraded`: etcd cannot be asked or refuses; the TTL has not run out.
 * - `expired-but-serving`: the TTL has run out meanwhile.
 * - `conflict`: the subnet has another holder; another one is being acquired.
 */
export type LeasePhase =
  | "acquiring"
  | "held"
  | "renewing"
  | "degraded"
  | "expired-but-serving"
  | "conflict";

/** Why a phase is not `held`. */
export interface LeaseCause {
  /** Stable, e.g. `registry.refused`, `lease.pool-exhausted`, `lease.taken`. */
  readonly code: string;
  /** For the operator. */
  readonly message: string;
}

/** A phase, since when, and why. */
export interface LeaseState {
  readonly phase: LeasePhase;
  /** Wall clock, milliseconds since 1970, at which the phase began. */
  readonly sinceMs: number;
  readonly cause?: LeaseCause;
  /** Who has the subnet, in `conflict`, where the cause may be another by now. */
  readonly taken?: LeaseCause;
}

/** What happens to a lease. */
export type LeaseTransition =
  /** A lease that this run did not have: its first, or one after a conflict. */
  | { readonly type: "acquired" }
  | { readonly type: "renewal-begun" }
  /** etcd has the lease as we know it, and its TTL is not due. */
  | { readonly type: "confirmed" }
  /** A call or a watch failed, or no subnet is free. */
  | { readonly type: "failed"; readonly cause: LeaseCause }
  | { readonly type: "ttl-passed" }
  /** The key is gone, or unreadable: it is written again. */
  | { readonly type: "lost"; readonly cause: LeaseCause }
  /** The subnet has another holder, who keeps it. */
  | { readonly type: "taken"; readonly cause: LeaseCause };

/** Where every run begins. */
export function initialLeaseState(nowMs: number): LeaseState {
  return { phase: "acquiring", sinceMs: nowMs };
}

/** Whether an operator would want to read of the change in the log. */
export function isNews(before: LeaseState, after: LeaseState): boolean {
  return before.phase !== after.phase ||
    before.cause?.code !== after.cause?.code;
}

/**
 * The state after a transition; the very same object when nothing changed. The
 * same cause in other words (a pool whose next lease ends in 3 minutes, and no
 * more in 4) is another state, and no news.
 */
export function nextLeaseState(
  state: LeaseState,
  transition: LeaseTransition,
  nowMs: number,
): LeaseState {
  // Read once more and found as it was: the search goes on for its own reason.
  if (transition.type === "taken" && isToldAlready(state, transition.cause)) {
    return state;
  }
  const phase = nextPhase(state.phase, transition.type);
  const cause = nextCause(state, phase, transition);
  if (
    phase === state.phase && cause?.code === state.cause?.code &&
    cause?.message === state.cause?.message
  ) {
    return state;
  }
  const taken = transition.type === "taken" ? transition.cause : state.taken;
  return {
    phase,
    sinceMs: phase === state.phase ? state.sinceMs : nowMs,
    ...(cause === undefined ? {} : { cause }),
    ...(phase !== "conflict" || taken === undefined ? {} : { taken }),
  };
}

/** What is not named leaves the phase as it is. */
const TRANSITIONS: Record<
  LeasePhase,
  Partial<Record<LeaseTransition["type"], LeasePhase>>
> = {
  acquiring: { acquired: "held" },
  held: {
    "renewal-begun": "renewing",
    "failed": "degraded",
    "ttl-passed": "expired-but-serving",
    "lost": "renewing",
    "taken": "conflict",
  },
  renewing: {
    "confirmed": "held",
    "failed": "degraded",
    "ttl-passed": "expired-but-serving",
    "taken": "conflict",
  },
  degraded: {
    "confirmed": "held",
    "ttl-passed": "expired-but-serving",
    "taken": "conflict",
  },
  "expired-but-serving": { "confirmed": "held", "taken": "conflict" },
  // Only a lease of our own ends it; that etcd is away too is one more cause.
  conflict: { "acquired": "held", "confirmed": "held" },
};

function nextPhase(
  phase: LeasePhase,
  transition: LeaseTransition["type"],
): LeasePhase {
  return TRANSITIONS[phase][transition] ?? phase;
}

function nextCause(
  state: LeaseState,
  phase: LeasePhase,
  transition: LeaseTransition,
): LeaseCause | undefined {
  if (phase === "held") return undefined;
  if (!("cause" in transition)) return state.cause;
  switch (transition.type) {
    case "failed":
      return phase === "conflict"
        ? {
          code: transition.cause.code,
          message: stillWithout(state, transition.cause),
        }
        : transition.cause;
    case "lost":
      // Elsewhere the key is gone because of what is the cause already.
      return phase === "renewing" ? transition.cause : state.cause;
    case "taken":
      return transition.cause;
  }
}

/** Who has the subnet stays readable while the search for another one fails. */
function stillWithout({ taken }: LeaseState, failure: LeaseCause): string {
  return taken === undefined
    ? failure.message
    : `${taken.message}; no other subnet yet: ${failure.message}`;
}

function isToldAlready({ taken }: LeaseState, cause: LeaseCause): boolean {
  return taken?.message === cause.message;
}
