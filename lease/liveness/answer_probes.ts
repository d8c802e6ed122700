/**
 * Answers liveness probes from hosts with the same PublicIP.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { LodenError } from "../../errors.ts";
import type { Clock } from "../../linux/clock.ts";
import type { RandomSource } from "../../linux/random.ts";
import { Backoff } from "../../linux/backoff.ts";
import { LISTEN_PAUSES } from "./answer_times.ts";
import type { LeaseRegistry } from "../registry.ts";

const log = getLogger(["loden", "lease"]);

/** A watch that lasts this long counts as working. */
const GOOD_WATCH_MS = 5_000;

/** What it needs. */
export interface AnswerComponents {
  readonly registry: Pick<LeaseRegistry, "answerFor">;
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** Answers, through all faults of etcd, until aborted; then resolves. */
export async function answerUntilAborted(
  { registry, clock, random }: AnswerComponents,
  hostId: string,
  signal: AbortSignal,
): Promise<void> {
  const pauses = new Backoff(random, LISTEN_PAUSES);
  let told: string | undefined;
  while (!signal.aborted) {
    const beganMs = clock.monotonic();
    try {
      await registry.answerFor(hostId, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (clock.monotonic() - beganMs >= GOOD_WATCH_MS) pauses.reset();
      const code = error instanceof LodenError ? error.code : "unexpected";
      // The keeper reports that etcd is away.
      if (code !== told) {
        told = code;
        log.debug("cannot answer liveness probes", {
          event: "lease.unheard",
          error,
        });
      }
      // Only the signal interrupts a sleep.
      await clock.sleep(pauses.next(), signal).catch(() => {});
    }
  }
}
