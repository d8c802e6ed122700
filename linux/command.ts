/**
 * Runs other programs of the host.
 *
 * @module
 */

import { LodenError } from "../errors.ts";
import { childEnvironment } from "./child_environment.ts";

/** How a program ended, and its output (UTF-8). */
export interface CommandResult {
  /** The exit code; 128 + the signal's number when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of a run. */
export interface CommandOptions {
  /** Text for its standard input; empty by default. */
  readonly stdin?: string;
  /**
   * Ends the program (SIGTERM, and SIGKILL a second later) and rejects with the
   * signal's reason, at once.
   */
  readonly signal: AbortSignal;
}

/** Runs programs: on this host, outside tests. */
export interface CommandRunner {
  /**
   * Runs a program with the given arguments, without a shell. An exit code is a
   * result, not an error.
   *
   * @throws {CommandMissingError} if there is no such program.
   */
  run(
    command: string,
    words: readonly string[],
    options: CommandOptions,
  ): Promise<CommandResult>;
}

/** A program that this host does not have. `code` is `command.missing`. */
export class CommandMissingError extends LodenError {
  readonly command: string;

  constructor(command: string, cause: unknown) {
    super(
      "command.missing",
      `Cannot run ${command}: there is no such program`,
      { cause },
    );
    this.command = command;
  }
}

/** How long a program may take to end after SIGTERM. */
const KILL_AFTER_MS = 1_000;

/** Runs programs of this host, in the C locale, as their output is read. */
export class HostCommandRunner implements CommandRunner {
  async run(
    command: string,
    words: readonly string[],
    { stdin, signal }: CommandOptions,
  ): Promise<CommandResult> {
    signal.throwIfAborted();
    const child = this.#spawn(command, words, stdin !== undefined, signal);
    const ended = Promise.all([
      child.output(),
      stdin === undefined ? undefined : feed(child.stdin, stdin),
    ]);
    const [output] = await orAborted(ended, child, signal);
    signal.throwIfAborted();
    return {
      code: output.code,
      stdout: new TextDecoder().decode(output.stdout),
      stderr: new TextDecoder().decode(output.stderr),
    };
  }

  #spawn(
    command: string,
    words: readonly string[],
    hasInput: boolean,
    signal: AbortSignal,
  ): Deno.ChildProcess {
    try {
      return new Deno.Command(command, {
        args: [...words],
        env: childEnvironment(),
        clearEnv: true,
        stdin: hasInput ? "piped" : "null",
        stdout: "piped",
        stderr: "piped",
        signal,
      }).spawn();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) {
        throw new CommandMissingError(command, error);
      }
      throw error;
    }
  }
}

/**
 * A program that ignores SIGTERM, or whose child holds its output open, must
 * not block the caller.
 */
async function orAborted<T>(
  ended: Promise<T>,
  child: Deno.ChildProcess,
  signal: AbortSignal,
): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => {
    letGo(child);
    const timer = setTimeout(() => kill(child), KILL_AFTER_MS);
    child.status.then(() => clearTimeout(timer), () => {});
    ended.catch(() => {});
    aborted.reject(signal.reason);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([ended, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Does not wait for the program any more, so that the process can end. */
export function letGo(child: Pick<Deno.ChildProcess, "unref">): void {
  try {
    child.unref();
  } catch (error) {
    // It has ended, and the object does not know it yet.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    // It has just ended.
    if (
      !(error instanceof TypeError || error instanceof Deno.errors.NotFound)
    ) {
      throw error;
    }
  }
}

/** Writes a program's standard input and closes it. */
export async function feed(
  input: WritableStream<Uint8Array>,
  text: string,
): Promise<void> {
  try {
    await ReadableStream.from([new TextEncoder().encode(text)]).pipeTo(input);
  } catch (error) {
    // If a program ends before it has read everything, its exit code says why.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
