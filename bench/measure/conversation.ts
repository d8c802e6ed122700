/**
 * A program of the benchmark that stays and answers questions, so that paths
 * take turns of milliseconds: a program's start would take longer.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import type { NetNamespace } from "../../tests/rig/namespace.ts";

/** See `bench/programs/answer_lines.ts`. Disposing of it ends the program. */
export class Conversation implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #questions: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;
  readonly #name: string;

  private constructor(name: string, command: readonly string[]) {
    const [program, ...args] = command;
    this.#name = name;
    this.#child = new Deno.Command(program!, {
      args,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#questions = this.#child.stdin.getWriter();
    this.#answers = this.#child.stdout
      .pipeThrough(new TextDecoderStream())
      .getReader();
  }

  /**
   * Starts a program of `bench/programs/` in a namespace and waits until it is
   * ready.
   *
   * @param placement what stands before it: `placement.ts`.
   */
  static async start(
    { commandPrefix }: NetNamespace,
    placement: readonly string[],
    [program, ...words]: readonly [string, ...string[]],
  ): Promise<Conversation> {
    const path = fromFileUrl(
      new URL(`../programs/${program}`, import.meta.url),
    );
    const deno = [Deno.execPath(), "run", "--no-check", "-A", path];
    const started = new Conversation(
      program,
      [...commandPrefix, ...placement, ...deno, ...words],
    );
    try {
      await started.#answer();
      return started;
    } catch (error) {
      await started[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What the program has to say after so many milliseconds of work. */
  async ask<Answer>(milliseconds: number): Promise<Answer> {
    await this.#questions.write(new TextEncoder().encode(`${milliseconds}\n`));
    return JSON.parse(await this.#answer()) as Answer;
  }

  /** A short line, which comes in one piece. */
  async #answer(): Promise<string> {
    const { value } = await this.#answers.read();
    if (value !== undefined) return value;
    const { code } = await this.#child.status;
    throw new Error(
      `Cannot measure: ${this.#name} must answer: it ended with code ${code}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // It has ended.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#answers.cancel();
    await this.#child.status;
  }
}
