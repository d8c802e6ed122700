/**
 * All tests: unit, contract and end to end.
 *
 * `deno task test [FILE OR OPTION]...`: arguments go to `deno test`; without
 * one, everything under `tests/` runs. The last line is `N passed, N failed`. A
 * test that did not run counts as failed.
 *
 * Exit codes: 0, 1 when a test failed or none ran, 128 + n when signal n ended
 * it.
 *
 * @module
 */

import { describeError } from "../errors.ts";
import { uniqueRigName } from "../tests/rig/names.ts";
import { destroyLeftovers, temporaryDirectory } from "../tests/rig/teardown.ts";
import { AptHost } from "./apt.ts";
import { Interrupted, onInterrupt } from "./interrupt.ts";
import { parseJunit, parseSummary, type TestTotals } from "./junit.ts";
import { requireLinuxRoot } from "./linux_root.ts";
import { ensurePackages, TEST_REQUIREMENTS } from "./packages.ts";
import { writeStdout } from "./stdout.ts";
import { extendSystemPath } from "./system_path.ts";

const SUMMARY_CHARACTERS = 1_000;

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  extendSystemPath();
  const apt = new AptHost((line) => console.log(line));
  const directory = `${temporaryDirectory()}/${uniqueRigName()}`;
  let child: Deno.ChildProcess | undefined;
  const putAway = () => {
    apt.abandon();
    if (child) killGroup(child.pid, "SIGKILL");
    destroyLeftovers();
    removeDirectory(directory);
  };
  using interrupt = onInterrupt(putAway);
  try {
    requireLinuxRoot("run the tests");
    await ensurePackages(
      TEST_REQUIREMENTS,
      apt,
      (line) => console.log(line),
      interrupt.signal,
    );
    Deno.mkdirSync(directory, { mode: 0o700 });
    const report = `${directory}/junit.xml`;
    child = startTests(args, directory, report);
    const { pid, status } = child;
    const stop = () => killGroup(pid, "SIGTERM");
    interrupt.signal.addEventListener("abort", stop, { once: true });
    const summary = await passOn(child.stdout);
    const { success } = await status;
    interrupt.signal.throwIfAborted();
    const totals = countTests(report, summary, success);
    console.log(`${totals.passed} passed, ${totals.failed} failed`);
    return totals.failed === 0 && totals.passed > 0 ? 0 : 1;
  } catch (error) {
    const interrupted = interrupt.signal.reason;
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

/**
 * The tests have a session of their own, so that Ctrl-C reaches them through
 * this process only, and what they leave running can be ended as a group. Their
 * temporary files have one directory, which is removed with all that is in it.
 */
function startTests(
  args: readonly string[],
  directory: string,
  report: string,
): Deno.ChildProcess {
  const names = args.some((arg) => !arg.startsWith("-"));
  return new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "--allow-all",
      `--junit-path=${report}`,
      ...args,
      ...names ? [] : ["tests/"],
    ],
    env: {
      TMPDIR: directory,
      DENO_NO_UPDATE_CHECK: "1",
      ...Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : {},
    },
    stdin: "null",
    stdout: "piped",
    detached: true,
  }).spawn();
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
): TestTotals {
  let xml = "";
  try {
    xml = Deno.readTextFileSync(report);
  } catch (error) {
    // It did not even type-check.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const { failed, passed, ...rest } = parseJunit(xml);
  const said = parseSummary(summary);
  const notRun = rest.notRun - said.filteredOut;
  if (notRun > 0) console.log(`${notRun} tests did not run`);
  if (passed + failed + notRun === 0) console.log("no tests ran");
  const all = Math.max(failed, said.failed) + notRun;
  return { passed, failed: success ? all : Math.max(all, 1), notRun };
}

function killGroup(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function removeDirectory(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
