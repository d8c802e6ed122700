/**
 * One run of a firewall program.
 *
 * @module
 */

import {
  CommandMissingError,
  type CommandResult,
  type CommandRunner,
} from "../../linux/command.ts";
import { FirewallRefusedError, NoFirewallToolError } from "./errors.ts";

/**
 * Longer than a busy host needs; a program that hangs must not block the agent.
 */
const TIMEOUT_MILLISECONDS = 30_000;

/**
 * Runs a program that must succeed; its standard output.
 *
 * @param stdin text for its standard input.
 * @throws {FirewallError} if it is missing, fails or takes too long.
 */
export async function runTool(
  runner: CommandRunner,
  command: string,
  words: readonly string[],
  signal: AbortSignal,
  stdin?: string,
): Promise<string> {
  const line = [command, ...words].join(" ");
  const result = await runBounded(runner, command, words, signal, stdin);
  if (result.code !== 0) throw new FirewallRefusedError(line, result);
  return result.stdout;
}

/** Like {@linkcode runTool}, but returns the exit code to the caller. */
export async function runBounded(
  runner: CommandRunner,
  command: string,
  words: readonly string[],
  signal: AbortSignal,
  stdin?: string,
): Promise<CommandResult> {
  const timeout = AbortSignal.timeout(TIMEOUT_MILLISECONDS);
  try {
    return await runner.run(command, words, {
      signal: AbortSignal.any([signal, timeout]),
      ...(stdin === undefined ? {} : { stdin }),
    });
  } catch (error) {
    if (error instanceof CommandMissingError) {
      throw new NoFirewallToolError([error.message], { cause: error });
    }
    if (signal.aborted || !timeout.aborted) throw error;
    throw new FirewallRefusedError([command, ...words].join(" "), {
      code: 124,
      stdout: "",
      stderr: `no answer within ${TIMEOUT_MILLISECONDS / 1000} seconds`,
    });
  }
}
