/**
 * Programs that run to their end, such as `ip`.
 *
 * @module
 */

import { LodenError, type LodenErrorOptions } from "../errors.ts";

/** What a program left behind. */
export interface CommandResult {
  /** 128 + n when signal n ended it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run a program. */
export interface CommandOptions {
  /** Written to its standard input, which is empty otherwise. */
  readonly stdin?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Ends the program with SIGTERM; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A program that failed. `code` is `tools.command`. */
export class CommandError extends LodenError {
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** The exit code; 128 + n when signal n ended it. */
  readonly exitCode: number;

  constructor(
    command: readonly string[],
    exitCode: number,
    stderr: string,
    options: LodenErrorOptions = {},
  ) {
    const said = stderr.trim();
    super(
      "tools.command",
      `Cannot run ${command.join(" ")}: exit code must be 0: current value ` +
        `is ${exitCode}${said === "" ? "" : `: ${said}`}`,
      options,
    );
    this.command = command;
    this.exitCode = exitCode;
  }
}

/** What programs print is read, whatever this machine's language is. */
const LOCALE = { LC_ALL: "C" };

/** Runs a program to its end, whatever its exit code. */
export async function attempt(
  command: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { stdin, env = {}, signal } = options;
  signal?.throwIfAborted();
  const child = new Deno.Command(command[0]!, {
    args: command.slice(1),
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    env: { ...LOCALE, ...env },
    ...(signal ? { signal } : {}),
  }).spawn();
  if (stdin !== undefined) await feed(child.stdin, stdin);
  const { code, stdout, stderr } = await child.output();
  signal?.throwIfAborted();
  const text = new TextDecoder();
  return {
    exitCode: code,
    stdout: text.decode(stdout),
    stderr: text.decode(stderr),
  };
}

/** Runs a program and returns its output. Throws {@linkcode CommandError}. */
export async function run(
  command: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { exitCode, stdout, stderr } = await attempt(command, options);
  if (exitCode !== 0) throw new CommandError(command, exitCode, stderr);
  return stdout;
}

/**
 * Runs a program while nothing else happens in this process: for clean-up in a
 * signal handler, where no promise would be resolved any more.
 */
export function attemptSync(command: readonly string[]): CommandResult {
  const { code, stdout, stderr } = new Deno.Command(command[0]!, {
    args: command.slice(1),
    stdin: "null",
    env: LOCALE,
  }).outputSync();
  const text = new TextDecoder();
  return {
    exitCode: code,
    stdout: text.decode(stdout),
    stderr: text.decode(stderr),
  };
}

async function feed(stdin: WritableStream<Uint8Array>, text: string) {
  try {
    await ReadableStream.from([new TextEncoder().encode(text)]).pipeTo(stdin);
  } catch (error) {
    // A program that ends early says why by its exit code.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
