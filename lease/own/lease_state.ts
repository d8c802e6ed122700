/**
 * The states of a host's lease, and their transitions, as values.
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
 * In every phase except `acquiring` the data path carries packets, and no phase
 * leads back to it. `docs/lease.md` has the table for operators.
 *
 * @module
 */

/**
 * - `acquiring`: no lease yet; a running data path is left alone.
 * - `held`: etcd has confirmed the lease.
 * - `renewing`: the lease is being written: on schedule, with a new value, or
 *   after a loss.
 * - `degraded`: etcd is away or refuses requests; the TTL has not run out.
 * - `expired-but-serving`: the TTL has run out.
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
  /**
   * The holder of the subnet, in `conflict`, where the cause may have changed.
   */
  readonly taken?: LeaseCause;
}

/** What happens to a lease. */
export type LeaseTransition =
  /** A lease that is new in this run: its first, or one after a conflict. */
  | { readonly type: "acquired" }
  | { readonly type: "renewal-begun" }
  /** etcd has the lease as we know it, and no renewal is due. */
  | { readonly type: "confirmed" }
  /** A call or a watch failed, or no subnet is free. */
  | { readonly type: "failed"; readonly cause: LeaseCause }
  | { readonly type: "ttl-passed" }
  /** The key is gone or unreadable and is written again. */
  | { readonly type: "lost"; readonly cause: LeaseCause }
  /** The subnet has another holder, which keeps it. */
  | { readonly type: "taken"; readonly cause: LeaseCause };

/** The initial state. */
export function initialLeaseState(nowMs: number): LeaseState {
  return { phase: "acquiring", sinceMs: nowMs };
}

/** Whether the change belongs in the log. */
export function isNews(before: LeaseState, after: LeaseState): boolean {
  return before.phase !== after.phase ||
    before.cause?.code !== after.cause?.code;
}

/**
 * The state after a transition; the same object if nothing changed. The same
 * cause with another text (a pool whose next lease ends in 3 minutes instead of
 * 4) is a new state but not worth a log line.
 */
export function nextLeaseState(
  state: LeaseState,
  transition: LeaseTransition,
  nowMs: number,
): LeaseState {
  // The key was read again and is unchanged; the search continues for its own
  // reason.
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

/** Transitions that are not listed do not change the phase. */
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
  // Only a lease of our own ends it; a fault of etcd is a further cause.
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
      // In other phases the present cause explains why the key is gone.
      return phase === "renewing" ? transition.cause : state.cause;
    case "taken":
      return transition.cause;
  }
}

/** Keeps the holder visible while the search for another subnet fails. */
function stillWithout({ taken }: LeaseState, failure: LeaseCause): string {
  return taken === undefined
    ? failure.message
    : `${taken.message}; no other subnet yet: ${failure.message}`;
}

function isToldAlready({ taken }: LeaseState, cause: LeaseCause): boolean {
  return taken?.message === cause.message;
}
