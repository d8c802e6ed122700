/**
 * A binary, also where the tests run on the sources.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import { findTestRuntime } from "../../tools/compile/test_runtime.ts";
import { run } from "../../tools/command.ts";
import { lodenBinary } from "../rig/loden_program.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));

/** Compiles the tree at `root` as it is. @returns what that prints. */
export async function compile(root: string, output: string): Promise<string> {
  const { signal } = new AbortController();
  const runtime = await findTestRuntime(
    Deno.build.target,
    (line) => console.log(line),
    signal,
  );
  return await run([
    ...["env", "-C", root, Deno.execPath(), "run", "-A", "tools/compile.ts"],
    ...[`--output=${output}`, `--runtime=${runtime}`],
  ]);
}

/** The one that all tests run, and where they run the sources, a fresh one. */
export async function binaryIn(directory: string): Promise<string> {
  const given = lodenBinary();
  if (given !== undefined) return given;
  const output = `${directory}/loden`;
  await compile(ROOT, output);
  return output;
}
