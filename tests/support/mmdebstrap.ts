/**
 * Root file systems from Debian's packages.
 *
 * @module
 */

import { attempt, CommandError } from "../../tools/command.ts";

/**
 * Runs `mmdebstrap` for Debian's smallest system. apt tries each download four
 * times; what it could not fetch is named in the error.
 *
 * @throws {CommandError}
 */
export async function mmdebstrap(
  args: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const command = ["mmdebstrap", "--variant=minbase", ...args];
  const options = signal ? { signal } : {};
  const { exitCode, stderr } = await attempt(command, options);
  if (exitCode === 0) return;
  const errors = stderr.split("\n").filter((line) => line.startsWith("E: "));
  throw new CommandError(command, exitCode, errors.join("\n"));
}
