/**
 * Runs checks, all at the same time and none for long.
 *
 * @module
 */

import { describeError, LodenError } from "../../errors.ts";
import type { Clock } from "../../linux/clock.ts";
import type { Check, DoctorHost } from "./check.ts";
import { type Finding, findingOn, rankOf } from "./finding.ts";

/** How long to wait, and what to call meanwhile. */
export interface RunChecksOptions {
  readonly clock: Clock;
  /** For each check. */
  readonly limitMs: number;
  /** @param names of the checks that are not done: at first, and at each change. */
  readonly onWaiting: (names: readonly string[]) => void;
}

/** The findings of all checks, the worst last, else in the checks' order. */
export async function runChecks(
  checks: readonly Check[],
  host: DoctorHost,
  { clock, limitMs, onWaiting }: RunChecksOptions,
): Promise<Finding[]> {
  const waiting = new Set(checks.map(({ name }) => name));
  onWaiting([...waiting]);
  const found = await Promise.all(checks.map(async (check) => {
    const findings = await runCheck(check, host, clock, limitMs);
    waiting.delete(check.name);
    onWaiting([...waiting]);
    return findings;
  }));
  return found.flat().sort((a, b) => rankOf(a) - rankOf(b));
}

async function runCheck(
  { late: whenLate, name, run }: Check,
  host: DoctorHost,
  clock: Clock,
  limitMs: number,
): Promise<readonly Finding[]> {
  const limit = new AbortController();
  const done = new AbortController();
  const late = clock.sleep(limitMs, done.signal).then(() => {
    limit.abort();
    return whenLate?.(host) ?? [
      findingOn("doctor.late", name).warning(
        `not known: no result within ${limitMs / 1000} s`,
        "run the command again: the host is busy, or what it asks hangs",
      ),
    ];
  });
  // A check that is done first ends it.
  late.catch(() => {});
  const result = Promise.try(run, host, limit.signal);
  // A check that is late must not fail where no one waits for it.
  result.catch(() => {});
  try {
    return await Promise.race([result, late]);
  } catch (error) {
    if (!isExpected(error)) throw error;
    return [
      findingOn("doctor.failed", name).warning(
        `not known: ${describeError(error)}`,
      ),
    ];
  } finally {
    done.abort();
    limit.abort();
  }
}

/** What the host refuses; anything else is a bug. */
function isExpected(error: unknown): boolean {
  return error instanceof LodenError ||
    error instanceof Error && "code" in error;
}
