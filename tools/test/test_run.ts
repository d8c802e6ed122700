/**
 * One `deno test`, and its result.
 *
 * @module
 */

import { parseJunit, parseSummary, type TestReport } from "../junit.ts";
import type { PlannedRun } from "./plan.ts";

/** The summary is at the output's end. */
const SUMMARY_CHARACTERS = 1_000;

/**
 * Running tests. They have a session of their own, so that Ctrl-C reaches them
 * through this process only, and what they leave running can be ended as a group.
 * Their temporary files lie in `directory`, which no other run has.
 */
export class TestRun {
  readonly #child: Deno.ChildProcess;
  readonly #report: string;
  readonly #show: (text: string) => void;

  constructor(
    { args, binary, deno }: PlannedRun,
    directory: string,
    show: (text: string) => void,
  ) {
    this.#report = `${directory}/junit.xml`;
    this.#show = show;
    this.#child = new Deno.Command(deno, {
      args: ["test", "--allow-all", `--junit-path=${this.#report}`, ...args],
      env: {
        TMPDIR: directory,
        DENO_NO_UPDATE_CHECK: "1",
        // Empty is none, also where this process has one.
        LODEN_BINARY: binary ?? "",
        ...Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : {},
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
  }

  /** Shows the output to its end, and counts. @throws the signal's reason. */
  async totals(signal: AbortSignal): Promise<TestReport> {
    const stop = () => killGroup(this.#child.pid, "SIGTERM");
    signal.addEventListener("abort", stop, { once: true });
    const [summary] = await Promise.all([
      this.#passOn(this.#child.stdout),
      this.#passOn(this.#child.stderr),
    ]);
    const { success } = await this.#child.status;
    signal.removeEventListener("abort", stop);
    signal.throwIfAborted();
    return this.#count(summary, success);
  }

  /** At once, whatever they are doing. */
  kill(): void {
    killGroup(this.#child.pid, "SIGKILL");
  }

  /** Shows the output as it comes. @returns its end, where the summary is. */
  async #passOn(output: ReadableStream<Uint8Array>): Promise<string> {
    const decoder = new TextDecoder();
    let end = "";
    for await (const bytes of output) {
      const text = decoder.decode(bytes, { stream: true });
      this.#show(text);
      end = (end + text).slice(-SUMMARY_CHARACTERS);
    }
    return end;
  }

  /**
   * The report knows of tests that did not run, the summary of failures that no
   * test has: a file that failed outside its tests.
   */
  #count(summary: string, success: boolean): TestReport {
    let xml = "";
    try {
      xml = Deno.readTextFileSync(this.#report);
    } catch (error) {
      // It did not even type-check.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    const { failed, passed, failures, ...rest } = parseJunit(xml);
    const said = parseSummary(summary);
    const notRun = rest.notRun - said.filteredOut;
    if (notRun > 0) this.#show(`${notRun} tests did not run\n`);
    const all = Math.max(failed, said.failed) + notRun;
    return {
      passed,
      failed: success ? all : Math.max(all, 1),
      notRun,
      failures,
    };
  }
}

function killGroup(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
