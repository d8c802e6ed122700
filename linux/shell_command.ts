/**
 * Runs the operator's command in a shell.
 *
 * @module
 */

import { childEnvironment } from "./child_environment.ts";
import { CommandMissingError } from "./command.ts";

/** How a command ended, and the end of its output (UTF-8). */
export interface ShellResult {
  /** The exit code; 128 + the signal's number when a signal ended it. */
  readonly code: number;
  /** Standard output and standard error, each from its end backwards. */
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of a run. */
export interface ShellOptions {
  /** Added to {@linkcode childEnvironment}; the command has no other variables. */
  readonly env: Readonly<Record<string, string>>;
  /** Ends the command and all that it has started, and rejects. */
  readonly signal: AbortSignal;
}

/** Runs one command of the shell to its end. */
export type RunShell = (
  command: string,
  options: ShellOptions,
) => Promise<ShellResult>;

/** A command may write output for hours; only the end is kept. */
const KEPT_BYTES = 4_096;

/**
 * {@linkcode RunShell} on this host. The command has a session of its own, so
 * that what it starts ends with it.
 *
 * @throws {CommandMissingError} without `setsid` (util-linux).
 */
export async function runShell(
  command: string,
  { env, signal }: ShellOptions,
): Promise<ShellResult> {
  signal.throwIfAborted();
  const child = spawn(command, env);
  const end = () => endSession(child.pid);
  signal.addEventListener("abort", end, { once: true });
  try {
    const [{ code }, stdout, stderr] = await Promise.all([
      child.status,
      lastWords(child.stdout),
      lastWords(child.stderr),
    ]);
    signal.throwIfAborted();
    return { code, stdout, stderr };
  } finally {
    signal.removeEventListener("abort", end);
  }
}

function spawn(
  command: string,
  env: Readonly<Record<string, string>>,
): Deno.ChildProcess {
  try {
    return new Deno.Command("setsid", {
      args: ["sh", "-c", command],
      env: { ...childEnvironment(), ...env },
      clearEnv: true,
      stdin: "null",
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

/** kill(2): a negative number is a process group. */
function endSession(pid: number): void {
  try {
    Deno.kill(-pid, "SIGTERM");
  } catch (error) {
    // It has already ended.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function lastWords(output: ReadableStream<Uint8Array>): Promise<string> {
  let kept = new Uint8Array();
  for await (const chunk of output) {
    const all = new Uint8Array(kept.length + chunk.length);
    all.set(kept);
    all.set(chunk, kept.length);
    kept = all.slice(-KEPT_BYTES);
  }
  return new TextDecoder().decode(kept).trim();
}
