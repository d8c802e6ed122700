/**
 * One `deno test`, and what it came to.
 *
 * @module
 */

import { parseJunit, parseSummary, type TestReport } from "../junit.ts";
import { writeStdout } from "../stdout.ts";
import type { PlannedRun } from "./plan.ts";

/** The summary is at the output's end. */
const SUMMARY_CHARACTERS = 1_000;

/**
 * Running tests. They have a session of their own, so that Ctrl-C reaches them
 * through this process only, and what they leave running can be ended as a group.
 * Their temporary files lie in `directory`.
 */
export class TestRun {
  readonly #child: Deno.ChildProcess;
  readonly #report: string;

  constructor({ args, binary, deno }: PlannedRun, directory: string) {
    this.#report = `${directory}/junit.xml`;
    removeIfThere(this.#report);
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
      detached: true,
    }).spawn();
  }

  /** Shows the output to its end, and counts. @throws the signal's reason. */
  async totals(signal: AbortSignal): Promise<TestReport> {
    const stop = () => killGroup(this.#child.pid, "SIGTERM");
    signal.addEventListener("abort", stop, { once: true });
    const summary = await passOn(this.#child.stdout);
    const { success } = await this.#child.status;
    signal.removeEventListener("abort", stop);
    signal.throwIfAborted();
    return countTests(this.#report, summary, success);
  }

  /** At once, whatever they are doing. */
  kill(): void {
    killGroup(this.#child.pid, "SIGKILL");
  }
}

/** Shows the output as it comes. @returns its end, where the summary is. */
async function passOn(output: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let end = "";
  for await (const bytes of output) {
    const text = decoder.decode(bytes, { stream: true });
    writeStdout(text);
    end = (end + text).slice(-SUMMARY_CHARACTERS);
  }
  return end;
}

/**
 * The report knows of tests that did not run, the summary of failures that no
 * test has: a file that failed outside its tests.
 */
function countTests(
  report: string,
  summary: string,
  success: boolean,
): TestReport {
  let xml = "";
  try {
    xml = Deno.readTextFileSync(report);
  } catch (error) {
    // It did not even type-check.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const { failed, passed, failures, ...rest } = parseJunit(xml);
  const said = parseSummary(summary);
  const notRun = rest.notRun - said.filteredOut;
  if (notRun > 0) console.log(`${notRun} tests did not run`);
  if (passed + failed + notRun === 0) console.log("no tests ran");
  const all = Math.max(failed, said.failed) + notRun;
  return {
    passed,
    failed: success ? all : Math.max(all, 1),
    notRun,
    failures,
  };
}

function killGroup(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
