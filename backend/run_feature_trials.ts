/**
 * Tries features of this host's kernel and leaves nothing behind.
 *
 * @module
 */

import { abortable } from "@std/async/abortable";
import { LodenError } from "../errors.ts";
import type { Feature, FeatureTrial } from "./feature_trials.ts";
import type { TrialAnswer } from "./trial_worker.ts";

/** They could not be tried at all. Its code is `backend.trial`. */
export class TrialFailedError extends LodenError {
  constructor(reason: string) {
    super("backend.trial", `Cannot try the kernel's features: ${reason}`);
  }
}

/**
 * A thread of its own tries them in a network namespace of its own.
 *
 * @throws {TrialFailedError}
 */
export async function runFeatureTrials(
  features: readonly Feature[],
  signal: AbortSignal,
): Promise<readonly FeatureTrial[]> {
  signal.throwIfAborted();
  const answer = Promise.withResolvers<TrialAnswer>();
  const worker = new Worker(new URL("./trial_worker.ts", import.meta.url), {
    type: "module",
    name: "feature-trials",
  });
  worker.onmessage = ({ data }: MessageEvent<TrialAnswer>) =>
    answer.resolve(data);
  worker.onerror = (event) => {
    event.preventDefault();
    answer.resolve({ failure: event.message });
  };
  worker.postMessage(features);
  try {
    const result: TrialAnswer = await abortable(answer.promise, signal);
    if ("failure" in result) throw new TrialFailedError(result.failure);
    return result.trials;
  } finally {
    worker.terminate();
  }
}
