/**
 * How long a host has to answer whether it is alive.
 *
 * Derived from everything that can delay the answer of a host that reaches etcd, so
 * that a change of one wait changes the other: a living host is never taken for a
 * dead one because it was in a pause.
 *
 * @module
 */

import type { BackoffLimits } from "../../linux/backoff.ts";

/** Between two checks of a connection: rare enough for thousands of hosts. */
export const KEEPALIVE_PAUSE_MS = 10_000;
/** For the answer to a check, which comes from etcd's memory. */
export const KEEPALIVE_LIMIT_MS = 3_000;

/** Milliseconds until a call to etcd has its answer or its error. */
export const CALL_DEADLINE_MS = 5_000;

/** Between two attempts to listen for questions, whatever etcd answered. */
export const LISTEN_PAUSES: BackoffLimits = { firstMs: 250, maxMs: 2_000 };

/** A connection that died silently is noticed. */
const NOTICE_MS = KEEPALIVE_PAUSE_MS + KEEPALIVE_LIMIT_MS;
/** One call lists the questions, one writes the answer. */
const ANSWER_CALLS = 2;

/** A living host that reaches etcd has answered by then. */
export const ANSWER_WITHIN_MS = NOTICE_MS + LISTEN_PAUSES.maxMs +
  ANSWER_CALLS * CALL_DEADLINE_MS;
