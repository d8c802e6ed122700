/**
 * Test runs side by side.
 *
 * @module
 */

import type { TestFailure } from "../junit.ts";
import { writeStdout } from "../stdout.ts";
import type { Phase, PlannedRun } from "./plan.ts";
import { TestRun } from "./test_run.ts";

let directories = 0;

/** How a run ended. */
export interface RunResult {
  readonly run: PlannedRun;
  readonly passed: number;
  readonly failed: number;
  readonly failures: readonly TestFailure[];
}

/** The part of {@linkcode TestRun} that is needed here. */
export interface Running {
  totals(signal: AbortSignal): Promise<Omit<RunResult, "run">>;
  kill(): void;
}

/** What phases run with. */
export interface PhaseOptions {
  /** Each run gets a directory of its own in it. */
  readonly directory: string;
  readonly signal: AbortSignal;
  /** What is in progress, to end it at once. */
  readonly running: Set<Running>;
  readonly write?: (text: string) => void;
  readonly start?: (
    run: PlannedRun,
    directory: string,
    show: (text: string) => void,
  ) => Running;
}

/**
 * Runs a phase to its end. A run that has the terminal to itself is shown as it
 * goes, runs side by side when they have ended. @throws the signal's reason.
 */
export async function runPhase(
  { jobs, runs, title }: Phase,
  { directory, running, signal, ...options }: PhaseOptions,
): Promise<RunResult[]> {
  const { start = (...args) => new TestRun(...args), write = writeStdout } =
    options;
  const results: RunResult[] = [];
  const queue = [...runs.entries()];
  const live = jobs === 1 || runs.length === 1;
  write(`\n== ${title}\n`);
  const work = async () => {
    for (let next; (next = queue.shift()) !== undefined;) {
      const [index, run] = next;
      signal.throwIfAborted();
      const startedAtMs = performance.now();
      let output = "";
      const show = live ? write : (text: string) => void (output += text);
      directories += 1;
      // Short: paths of sockets end after 107 bytes, unix(7).
      const runDirectory = `${directory}/${directories}`;
      Deno.mkdirSync(runDirectory);
      const tests = start(run, runDirectory, show);
      running.add(tests);
      try {
        const totals = await tests.totals(signal);
        results[index] = { run, ...totals };
        const seconds = Math.round((performance.now() - startedAtMs) / 1000);
        write(
          `${output}${run.name}: ${totals.passed} passed, ` +
            `${totals.failed} failed, ${seconds} s\n`,
        );
      } catch (error) {
        queue.length = 0;
        throw error;
      } finally {
        running.delete(tests);
      }
    }
  };
  // All have ended before anything of theirs is removed.
  const ends = await Promise.allSettled(Array.from({ length: jobs }, work));
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return results;
}
