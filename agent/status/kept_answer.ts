/**
 * Answers that are made once a second, however many ask, and more seldom where
 * making them takes long.
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";
import type { PlainAnswer } from "./http_message.ts";

const KEPT_MS = 1_000;
/** Of a processor, at most: any user of the host may ask all the time. */
const LARGEST_SHARE = 0.02;
/** What took long because the host was busy must not hide what happens then. */
const LONGEST_KEPT_MS = 10_000;

interface Kept {
  readonly answer: Promise<PlainAnswer>;
  untilMs: number;
}

/** The last answer of `make`, for as long as it is kept. A failure is not kept. */
export function keepAnswer(
  clock: Pick<Clock, "monotonic">,
  make: () => Promise<PlainAnswer>,
): () => Promise<PlainAnswer> {
  let kept: Kept | undefined;
  return () => {
    const beganMs = clock.monotonic();
    if (kept !== undefined && beganMs < kept.untilMs) return kept.answer;
    const made: Kept = { answer: make(), untilMs: beganMs + KEPT_MS };
    kept = made;
    made.answer.then(() => {
      const tookMs = clock.monotonic() - beganMs;
      const keptMs = Math.min(tookMs / LARGEST_SHARE, LONGEST_KEPT_MS);
      made.untilMs = beganMs + Math.max(KEPT_MS, keptMs);
    }, () => {
      if (kept === made) kept = undefined;
    });
    return made.answer;
  };
}
