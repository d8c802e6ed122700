/**
 * Runs the operator's command in a shell.
 *
 * @module
 */

import { childEnvironment } from "./child_environment.ts";
import { CommandMissingError, feed, letGo } from "./command.ts";

/** How a command ended, and the end of its output (UTF-8). */
export interface ShellResult {
  /** The exit code; 128 + the signal's number when a signal ended it. */
  readonly code: number;
  /** Standard output and standard error, each from its end backwards. */
  readonly stdout: string;
  readonly stderr: string;
  /** Whether the beginning of an output is missing; absent: no. */
  readonly isCut?: true;
}

/** Options of a run. */
export interface ShellOptions {
  /** `"$@"` in the command; none by default. */
  readonly args?: readonly string[];
  /** Added to {@linkcode childEnvironment}; the command has no other variables. */
  readonly env: Readonly<Record<string, string>>;
  /** Text for its standard input; empty by default. */
  readonly stdin?: string;
  /** How much is kept of each output, in bytes; 4,096 by default. */
  readonly keptBytes?: number;
  /**
   * Ends the command and all that it has started, and rejects: SIGTERM, and
   * SIGKILL a second later, or when the command itself has ended.
   */
  readonly signal: AbortSignal;
}

/** Runs one command of the shell to its end. */
export type RunShell = (
  command: string,
  options: ShellOptions,
) => Promise<ShellResult>;

/** A command may write output for hours; only the end is kept. */
const KEPT_BYTES = 4_096;
/** From SIGTERM to SIGKILL, and from there to the end of the patience. */
const GRACE_MS = 1_000;

/**
 * {@linkcode RunShell} on this host. The command has a session of its own, so
 * that what it starts ends with it.
 *
 * @throws {CommandMissingError} without `setsid` (util-linux).
 */
export async function runShell(
  command: string,
  options: ShellOptions,
): Promise<ShellResult> {
  const { keptBytes = KEPT_BYTES, signal, stdin } = options;
  signal.throwIfAborted();
  const child = spawn(command, options);
  const ended = Promise.all([
    child.status,
    lastWords(child.stdout, keptBytes),
    lastWords(child.stderr, keptBytes),
    stdin === undefined ? undefined : feed(child.stdin, stdin),
  ]);
  using ending = new Ending(child, signal);
  const [{ code }, ...outputs] = await Promise.race([
    ended,
    ending.givenUp,
  ]);
  signal.throwIfAborted();
  const [stdout, stderr] = outputs;
  return {
    code,
    stdout: stdout.text,
    stderr: stderr.text,
    ...(stdout.isCut || stderr.isCut) && { isCut: true },
  };
}

function spawn(
  command: string,
  { args = [], env, stdin }: ShellOptions,
): Deno.ChildProcess {
  try {
    return new Deno.Command("setsid", {
      args: ["sh", "-c", command, "sh", ...args],
      env: { ...childEnvironment(), ...env },
      clearEnv: true,
      stdin: stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new CommandMissingError("setsid", error);
    }
    throw error;
  }
}

/** Ends the command's session when the signal is aborted. */
class Ending implements Disposable {
  readonly #child: Deno.ChildProcess;
  readonly #signal: AbortSignal;
  readonly #givenUp = Promise.withResolvers<never>();
  readonly #timers: ReturnType<typeof setTimeout>[] = [];
  readonly #end = () => this.#begin();

  constructor(child: Deno.ChildProcess, signal: AbortSignal) {
    this.#child = child;
    this.#signal = signal;
    this.#givenUp.promise.catch(() => {});
    signal.addEventListener("abort", this.#end, { once: true });
  }

  /** Rejects if something that left the session still holds its output open. */
  get givenUp(): Promise<never> {
    return this.#givenUp.promise;
  }

  #begin(): void {
    const { pid } = this.#child;
    killSession(pid, "SIGTERM");
    this.#timers.push(
      setTimeout(() => killSession(pid, "SIGKILL"), GRACE_MS),
      setTimeout(() => {
        letGo(this.#child);
        this.#givenUp.reject(this.#signal.reason);
      }, 2 * GRACE_MS),
    );
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener("abort", this.#end);
    for (const timer of this.#timers) clearTimeout(timer);
    // What ignores SIGTERM and has no output open.
    if (this.#signal.aborted) killSession(this.#child.pid, "SIGKILL");
  }
}

/** kill(2): a negative number is a process group. */
function killSession(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(-pid, signal);
  } catch (error) {
    // It has already ended.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function lastWords(
  output: ReadableStream<Uint8Array>,
  keptBytes: number,
): Promise<{ readonly text: string; readonly isCut: boolean }> {
  let kept = new Uint8Array();
  let isCut = false;
  for await (const chunk of output) {
    const all = new Uint8Array(kept.length + chunk.length);
    all.set(kept);
    all.set(chunk, kept.length);
    kept = all.slice(-keptBytes);
    isCut ||= kept.length < all.length;
  }
  return { text: new TextDecoder().decode(kept).trim(), isCut };
}
