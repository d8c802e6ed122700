/**
 * Programs that download: a server may be away for a moment.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { CommandError, type CommandOptions, run } from "./command.ts";

const PAUSES_MS = [2_000, 10_000];

/**
 * Runs a program, and again after a pause when it fails: three times in all.
 *
 * @throws {CommandError} of the last time; it has what the program said.
 */
export async function download(
  command: readonly string[],
  options: CommandOptions = {},
  pausesMs: readonly number[] = PAUSES_MS,
): Promise<void> {
  const [pauseMs, ...rest] = pausesMs;
  try {
    await run(command, options);
  } catch (error) {
    if (pauseMs === undefined || !(error instanceof CommandError)) throw error;
    await delay(pauseMs, options);
    await download(command, options, rest);
  }
}
