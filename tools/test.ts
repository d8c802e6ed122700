/**
 * All tests: unit, contract and end to end.
 *
 * `deno task test [--source] [FILE OR OPTION]...`: the first compiles Loden, and
 * agents run from the binary; with `--source` they run from the sources. Other
 * arguments go to `deno test`; without one, everything under `tests/` runs, and
 * the program's unit tests run once more in the binary's Deno where that is
 * another one. The last line is `N passed, N failed`. A test that did not run
 * counts as failed.
 *
 * Exit codes: 0, 1 when a test failed or none ran, 128 + n when signal n ended
 * it.
 *
 * @module
 */

import { describeError } from "../errors.ts";
import { lodenBinary } from "../tests/rig/loden_program.ts";
import { uniqueRigName } from "../tests/rig/names.ts";
import { destroyLeftovers, temporaryDirectory } from "../tests/rig/teardown.ts";
import { AptHost } from "./apt.ts";
import { compileHere } from "./compile.ts";
import { Interrupted, onInterrupt } from "./interrupt.ts";
import { requireLinuxRoot } from "./linux_root.ts";
import { ensurePackages, TEST_REQUIREMENTS } from "./packages.ts";
import { extendSystemPath } from "./system_path.ts";
import type { TestFailure } from "./junit.ts";
import { planRuns } from "./test/plan.ts";
import { TestRun } from "./test/test_run.ts";

/** The whole of it is where it failed. */
const FAILURE_LINES = 40;

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  extendSystemPath();
  const apt = new AptHost(say);
  const directory = `${temporaryDirectory()}/${uniqueRigName()}`;
  let running: TestRun | undefined;
  const putAway = () => {
    apt.abandon();
    running?.kill();
    destroyLeftovers();
    removeDirectory(directory);
  };
  using interrupt = onInterrupt(putAway);
  const { signal } = interrupt;
  try {
    requireLinuxRoot("run the tests");
    await ensurePackages(TEST_REQUIREMENTS, apt, say, signal);
    Deno.mkdirSync(directory, { mode: 0o700 });
    const runs = await planRuns(args, {
      binary: lodenBinary(),
      compile: () => compileHere(say, signal),
    });
    let passed = 0;
    let failed = 0;
    const failures: TestFailure[] = [];
    for (const run of runs) {
      say(run.title);
      running = new TestRun(run, directory);
      const totals = await running.totals(signal);
      passed += totals.passed;
      failed += totals.failed;
      failures.push(...totals.failures);
    }
    showAgain(failures);
    console.log(`${passed} passed, ${failed} failed`);
    return failed === 0 && passed > 0 ? 0 : 1;
  } catch (error) {
    const interrupted = signal.reason;
    if (interrupted instanceof Interrupted) {
      console.error(`\n${interrupted.message}: everything is removed`);
      return interrupted.exitCode;
    }
    console.error(describeError(error));
    console.log("0 passed, 1 failed");
    return 1;
  } finally {
    putAway();
  }
}

/** Thousands of lines may be between a failure and the end, where one looks. */
function showAgain(failures: readonly TestFailure[]): void {
  for (const { name, text } of failures) {
    const lines = text.split("\n");
    say(`\nfailed: ${name}`);
    for (const line of lines.slice(0, FAILURE_LINES)) say(`  ${line}`);
    if (lines.length > FAILURE_LINES) say("  …");
  }
}

function say(line: string): void {
  console.log(line);
}

function removeDirectory(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
