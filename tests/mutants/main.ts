/**
 * Whether the tests notice faults: makes each of `mutants.ts` in a copy of the
 * tree and runs the tests that must fail with it.
 *
 * `deno task test:mutants [TEXT]`: those with the text in their fault or their
 * file. The last line is `N passed, N failed`; one has passed when its tests
 * failed.
 *
 * Exit codes: 0 when all were noticed, 1 when one was not, 128 + n when signal n
 * ended it.
 *
 * @module
 */

import { describeError } from "../../errors.ts";
import { attempt, run } from "../../tools/command.ts";
import { Interrupted, onInterrupt } from "../../tools/interrupt.ts";
import { requireLinuxRoot } from "../../tools/linux_root.ts";
import { extendSystemPath } from "../../tools/system_path.ts";
import { copyTree } from "../support/copy_tree.ts";
import { type Mutant, MUTANTS } from "./mutants.ts";

/** A fault may keep a test from ending. */
const LIMIT_MS = 120_000;

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main([text = ""]: string[]): Promise<number> {
  extendSystemPath();
  using interrupt = onInterrupt(() => {});
  const { signal } = interrupt;
  const chosen = MUTANTS.filter(({ fault, file }) =>
    fault.includes(text) || file.includes(text)
  );
  const directory = await Deno.makeTempDir({ prefix: "loden-mutants-" });
  try {
    requireLinuxRoot("run all tests");
    await copyTree(directory, signal);
    await refuseFailingTests(chosen, directory, signal);
    let survivors = 0;
    for (const mutant of chosen) {
      const isNoticed = await tryMutant(mutant, directory, signal);
      if (!isNoticed) survivors += 1;
      const word = isNoticed ? "noticed " : "SURVIVED";
      console.log(`${word}  ${mutant.file}: ${mutant.fault}`);
    }
    console.log(`${chosen.length - survivors} passed, ${survivors} failed`);
    return survivors === 0 && chosen.length > 0 ? 0 : 1;
  } catch (error) {
    if (signal.reason instanceof Interrupted) {
      console.error(`\n${signal.reason.message}`);
      return signal.reason.exitCode;
    }
    console.error(describeError(error));
    console.log("0 passed, 1 failed");
    return 1;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Tests that fail without a fault would notice every one. */
async function refuseFailingTests(
  mutants: readonly Mutant[],
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const tests = [...new Set(mutants.flatMap(({ tests }) => tests))];
  const { exitCode, stdout } = await runTests(tests, directory, signal);
  if (exitCode === 0) return;
  throw new Error(
    `Cannot try faults: the tests must pass without one:\n${
      stdout.slice(-4_000)
    }`,
  );
}

/** @returns whether a test failed. */
async function tryMutant(
  { change, file, tests, text }: Mutant,
  directory: string,
  signal: AbortSignal,
): Promise<boolean> {
  const path = `${directory}/${file}`;
  const original = await Deno.readTextFile(path);
  const [before, after, more] = original.split(text);
  if (after === undefined || more !== undefined) {
    throw new Error(`Cannot change ${file}: it must have once: ${text}`);
  }
  try {
    await Deno.writeTextFile(path, `${before}${change}${after}`);
    if (file.endsWith(".as.ts")) await buildWasm(directory, signal);
    return (await runTests(tests, directory, signal)).exitCode !== 0;
  } finally {
    await Deno.writeTextFile(path, original);
    if (file.endsWith(".as.ts")) await buildWasm(directory, signal);
  }
}

async function runTests(
  tests: readonly string[],
  directory: string,
  signal: AbortSignal,
): Promise<{ exitCode: number; stdout: string }> {
  const limit = AbortSignal.timeout(LIMIT_MS);
  try {
    return await attempt([
      ...["env", `--chdir=${directory}`, "CI=true", "NO_COLOR=1"],
      ...[Deno.execPath(), "test", "--allow-all", "--no-check", "--quiet"],
      ...["--fail-fast", "--", ...tests].filter((word) => word !== "--"),
    ], { signal: AbortSignal.any([signal, limit]) });
  } catch (error) {
    signal.throwIfAborted();
    // Tests that do not end have noticed it, too.
    if (limit.aborted) return { exitCode: 1, stdout: "" };
    throw error;
  }
}

async function buildWasm(
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  await run([
    ...["env", `--chdir=${directory}`, Deno.execPath()],
    ...["run", "--allow-all", "--quiet", "tools/build_wasm.ts"],
  ], { signal });
}
