/**
 * A process that runs beside the tests and writes a log.
 *
 * It has a session of its own (Ctrl-C in the terminal does not reach it: its
 * owner ends it in order) and logs into a file, not into a pipe, so that it can
 * outlive its owner.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { ProcessEndedError, RigTimeoutError } from "./errors.ts";

/** How to start a {@linkcode Daemon}. */
export interface DaemonOptions {
  /** What the process is called in errors. */
  readonly name: string;
  readonly command: readonly string[];
  /** Standard output and error are appended here. */
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A running process. */
export class Daemon implements AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  /** `performance.now()` at the moment before it was started. */
  readonly startedAtMs: number;
  readonly #child: Deno.ChildProcess;
  readonly #logFile: string;
  /** Characters that were in the log before. */
  readonly #logged: number;
  #exitCode: number | undefined;

  constructor(options: DaemonOptions) {
    this.name = options.name;
    this.#logFile = options.logFile;
    this.#logged = this.log().length;
    this.startedAtMs = performance.now();
    this.#child = new Deno.Command("sh", {
      args: [
        "-c",
        'log=$1; shift; exec "$@" >>"$log" 2>&1',
        "sh",
        options.logFile,
        ...options.command,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
      env: { ...options.env },
      detached: true,
    }).spawn();
    this.pid = this.#child.pid;
    this.#child.status.then((status) => this.#exitCode = status.code);
    this.#child.unref();
  }

  /** The exit code, `undefined` while it runs. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  /** All that it has written so far. */
  log(): string {
    try {
      return Deno.readTextFileSync(this.#logFile);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  }

  /**
   * SIGKILL as soon as the log has something new with `text` in it. Nothing else
   * happens in this process meanwhile, so that hardly a millisecond passes.
   */
  killWhenLogged(text: string, timeoutMs = 10_000): void {
    const deadline = performance.now() + timeoutMs;
    while (!this.log().slice(this.#logged).includes(text)) {
      if (performance.now() > deadline) {
        throw new RigTimeoutError(text, timeoutMs, this.#lastLines());
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
    this.kill("SIGKILL");
  }

  /** Sends a signal; nothing happens when the process has ended. */
  kill(signal: Deno.Signal): void {
    if (this.#exitCode !== undefined) return;
    try {
      this.#child.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
  }

  /** Waits for the end. @returns the exit code. */
  async ended(timeoutMs: number, signal?: AbortSignal): Promise<number> {
    this.#child.ref();
    try {
      await this.#until(() => this.#exitCode !== undefined, timeoutMs, signal, {
        what: `the end of ${this.name}`,
        mayEnd: true,
      });
    } finally {
      this.#child.unref();
    }
    return this.#exitCode!;
  }

  /** Waits until `condition` holds. Throws when the process ends before. */
  until(
    what: string,
    condition: () => boolean | Promise<boolean>,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<void> {
    return this.#until(condition, timeoutMs, signal, { what, mayEnd: false });
  }

  /** Waits until the log matches. @returns the match. */
  async untilLogged(
    pattern: RegExp,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<RegExpExecArray> {
    let match: RegExpExecArray | null = null;
    await this.until(
      `${pattern} in the log of ${this.name}`,
      () => (match = pattern.exec(this.log())) !== null,
      timeoutMs,
      signal,
    );
    return match!;
  }

  /** SIGTERM, and SIGKILL when that is not enough. @returns the exit code. */
  async stop(graceMs = 3_000): Promise<number> {
    this.kill("SIGTERM");
    try {
      return await this.ended(graceMs);
    } catch (error) {
      if (!(error instanceof RigTimeoutError)) throw error;
    }
    this.kill("SIGKILL");
    return await this.ended(graceMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #until(
    condition: () => boolean | Promise<boolean>,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    { what, mayEnd }: { what: string; mayEnd: boolean },
  ): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const ended = this.#exitCode;
      if (await condition()) return;
      if (ended !== undefined && !mayEnd) {
        throw new ProcessEndedError(this.name, ended, this.#lastLines());
      }
      if (performance.now() > deadline) {
        throw new RigTimeoutError(what, timeoutMs, this.#lastLines());
      }
      await delay(10, signal ? { signal } : {});
    }
  }

  #lastLines(): string {
    return this.log().trimEnd().split("\n").slice(-30).join("\n");
  }
}
