/**
 * Answers that are made once a second, however many ask.
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";
import type { PlainAnswer } from "./request_server.ts";

const KEPT_MS = 1_000;

/** The last answer of `make`, at most one second old. A failure is not kept. */
export function keepAnswer(
  clock: Pick<Clock, "monotonic">,
  make: () => Promise<PlainAnswer>,
): () => Promise<PlainAnswer> {
  let kept:
    | { readonly madeAtMs: number; readonly answer: Promise<PlainAnswer> }
    | undefined;
  return () => {
    const nowMs = clock.monotonic();
    if (kept !== undefined && nowMs - kept.madeAtMs < KEPT_MS) {
      return kept.answer;
    }
    const made = { madeAtMs: nowMs, answer: make() };
    kept = made;
    made.answer.catch(() => {
      if (kept === made) kept = undefined;
    });
    return made.answer;
  };
}
