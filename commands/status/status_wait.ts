/**
 * `loden status --wait`.
 *
 * @module
 */

import { UsageError } from "../../config/errors.ts";
import { describeError } from "../../errors.ts";
import type { Clock } from "../../linux/clock.ts";
import type { CommandIo } from "../command.ts";
import { Progress } from "../terminal/progress.ts";
import {
  check,
  type CheckName,
  isAbsent,
  type Sight,
  whyNotReady,
} from "./status_check.ts";

const PAUSE_MS = 500;

/** How to wait, and for what. */
export interface WaitOptions {
  readonly limitMs: number;
  /** `undefined`: for the agent's READY. */
  readonly checkName: CheckName | undefined;
}

/**
 * Looks until the state is good or the time is over, and says what it waits for.
 *
 * @returns what it saw last.
 */
export async function waitForStatus(
  io: Pick<CommandIo, "stderr" | "errorTerminal">,
  clock: Pick<Clock, "sleep" | "monotonic">,
  look: () => Promise<Sight>,
  { checkName, limitMs }: WaitOptions,
): Promise<Sight> {
  const begin = clock.monotonic();
  using progress = new Progress(io, clock);
  for (;;) {
    const sight = await look();
    const why = obstacle(sight, checkName);
    const passedMs = clock.monotonic() - begin;
    if (why === undefined || passedMs >= limitMs || isHopeless(sight)) {
      return sight;
    }
    progress.say(`waiting: ${why}`);
    await clock.sleep(Math.min(PAUSE_MS, limitMs - passedMs));
  }
}

/** A missing right does not come with time. */
function isHopeless(sight: Sight): boolean {
  return "failure" in sight && !isAbsent(sight.failure);
}

function obstacle(
  sight: Sight,
  checkName: CheckName | undefined,
): string | undefined {
  if (checkName !== undefined) {
    const { code, line } = check(checkName, sight);
    return code === 0 ? undefined : line;
  }
  if ("failure" in sight) return describeError(sight.failure);
  return sight.status.ready ? undefined : whyNotReady(sight.status);
}

const DURATION = /^(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?$/;

/** @throws {UsageError} unless the text is like `90s`, `5m` or `1h30m`. */
export function readDurationMs(text: string): number {
  const match = DURATION.exec(text);
  if (match === null || text === "") {
    throw new UsageError(
      "usage.bad-value",
      "Cannot read the command line: --wait must be a duration in hours, " +
        `minutes and seconds: current value is ${JSON.stringify(text)}`,
      { hint: "for example --wait=5m" },
    );
  }
  const [hours = 0, minutes = 0, seconds = 0] = match.slice(1)
    .map((digits) => Number(digits ?? 0));
  return ((hours * 60 + minutes) * 60 + seconds) * 1_000;
}
