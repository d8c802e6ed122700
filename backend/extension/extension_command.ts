/**
 * Runs one command of the network config.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../errors.ts";
import { childEnvironment } from "../../linux/child_environment.ts";
import type { RunShell } from "../../linux/shell_command.ts";
import { commandWords } from "./command_words.ts";
import { ExtensionCommandError } from "./errors.ts";

const log = getLogger(["loden", "backend"]);

/** Output and error output in the order in which they are written, as flannel. */
const TOGETHER = 'exec "$@" 2>&1';
/** The largest output; flannel writes it into the lease, and etcd bounds that. */
const MOST_OUTPUT_BYTES = 65_536;

/** How commands run on this host. */
export interface CommandRunning {
  readonly runShell: RunShell;
  /** A command that takes longer is ended. */
  readonly timeLimitMs: number;
}

/** What flannel gives a command. */
export interface CommandInput {
  /** `PostStartupCommand`, for the log. */
  readonly option: string;
  readonly command: string;
  readonly variables?: Readonly<Record<string, string>>;
  /** The peer's data; the command gets a line break behind it. */
  readonly data?: string;
}

/**
 * @returns the output, trimmed.
 * @throws {ExtensionCommandError} if it fails, or takes too long; the signal's
 * reason if that ends it.
 */
export async function runExtensionCommand(
  { runShell, timeLimitMs }: CommandRunning,
  { command, data = "", option, variables = {} }: CommandInput,
  signal: AbortSignal,
): Promise<string> {
  const limit = AbortSignal.timeout(timeLimitMs);
  const environment = { ...childEnvironment(), ...variables };
  const fields = {
    command: option,
    ...variables.SUBNET !== undefined && { subnet: variables.SUBNET },
  };
  try {
    const { code, isCut, stdout: output } = await runShell(TOGETHER, {
      args: commandWords(command, environment),
      env: variables,
      stdin: `${data}\n`,
      keptBytes: MOST_OUTPUT_BYTES,
      signal: AbortSignal.any([signal, limit]),
    });
    if (code !== 0) throw failure(`it ended with code ${code}: ${output}`);
    if (isCut) {
      throw failure(`its output must be at most ${MOST_OUTPUT_BYTES} bytes`);
    }
    log.info("command of the network config succeeded", {
      event: "backend.command-done",
      ...fields,
      output,
    });
    return output;
  } catch (error) {
    signal.throwIfAborted();
    const known = error instanceof ExtensionCommandError
      ? error
      : limit.aborted
      ? failure(`it must end within ${timeLimitMs / 1000} seconds`)
      : failure(describeError(error), { cause: error });
    log.error("command of the network config failed", {
      event: "backend.command-failed",
      ...fields,
      reason: describeError(known),
    });
    throw known;
  }

  function failure(reason: string, options?: ErrorOptions) {
    return new ExtensionCommandError(option, reason, options);
  }
}
