/**
 * All tests: unit, contract and end to end.
 *
 * `deno task test [--source] [FILE OR OPTION]...`: it compiles Loden first, and
 * agents run from the binary; with `--source` they run from the sources. Other
 * arguments go to `deno test`. Without a path the whole suite runs, but for
 * `tests/long/`, and the program's unit tests run once more in the binary's Deno
 * where that is another one. The last line is `N passed, N failed`. A test that
 * did not run counts as failed.
 *
 * Exit codes: 0, 1 when a test failed or none ran, 128 + n when signal n ended
 * it.
 *
 * @module
 */

import { describeError } from "../errors.ts";
import { lodenBinary } from "../tests/rig/loden_program.ts";
import { uniqueRigName } from "../tests/rig/names.ts";
import {
  destroyLeftovers,
  destroyRig,
  temporaryDirectory,
} from "../tests/rig/teardown.ts";
import { AptHost } from "./apt.ts";
import { compileHere } from "./compile.ts";
import { Interrupted, onInterrupt } from "./interrupt.ts";
import { requireLinuxRoot } from "./linux_root.ts";
import { ensurePackages, TEST_REQUIREMENTS } from "./packages.ts";
import { extendSystemPath } from "./system_path.ts";
import type { TestFailure } from "./junit.ts";
import { isWholeSuite, planPhases } from "./test/plan.ts";
import { type Running, runPhase, type RunResult } from "./test/run_phase.ts";
import { testFiles } from "./test/test_files.ts";

/** Enough to find it in the output, where all of it is. */
const FAILURE_LINES = 40;
const SEE_ABOVE = "the output above says why";

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  extendSystemPath();
  // What tests write is read by users of booted hosts, too.
  Deno.umask(0o022);
  const apt = new AptHost(say);
  const name = uniqueRigName();
  const directory = `${temporaryDirectory()}/${name}`;
  const running = new Set<Running>();
  const putAway = () => {
    apt.abandon();
    for (const run of running) run.kill();
    destroyLeftovers();
    destroyRig(name);
  };
  using interrupt = onInterrupt(putAway);
  const { signal } = interrupt;
  try {
    requireLinuxRoot("run the tests");
    await ensurePackages(TEST_REQUIREMENTS, apt, say, signal);
    Deno.mkdirSync(directory, { mode: 0o700 });
    const phases = await planPhases(args, {
      files: testFiles(),
      processors: navigator.hardwareConcurrency,
      binary: lodenBinary(),
      compile: () => compileHere(say, signal),
    });
    let passed = 0;
    let failed = 0;
    const failures: TestFailure[] = [];
    if (isWholeSuite(args) && !await typesAreRight(signal)) {
      failed += 1;
      failures.push({ name: "deno task check", text: SEE_ABOVE });
    }
    for (const phase of phases) {
      const results = await runPhase(phase, { directory, running, signal });
      for (const result of results) {
        passed += result.passed;
        failed += result.failed;
        failures.push(...failuresOf(result));
      }
    }
    showAgain(failures);
    if (passed + failed === 0) say("no tests ran");
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

/** The suite's runs do not check types: each would check the same files. */
async function typesAreRight(signal: AbortSignal): Promise<boolean> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["task", "check"],
    stdin: "null",
    signal,
  });
  const { success } = await command.spawn().status;
  signal.throwIfAborted();
  return success;
}

/** A run may have failed without a test that did. */
function failuresOf({ failed, failures, run }: RunResult): TestFailure[] {
  return failed > 0 && failures.length === 0
    ? [{ name: run.name, text: SEE_ABOVE }]
    : [...failures];
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
