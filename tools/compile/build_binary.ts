/**
 * From the sources to one executable file.
 *
 * @module
 */

import { dirname, fromFileUrl } from "@std/path";
import { LodenError } from "../../errors.ts";
import { attempt, run } from "../command.ts";
import { sourceCommit } from "../../commands/build_commit.ts";
import { readSources } from "../check_imports.ts";
import { bundle } from "./bundle.ts";
import { type CompileRuntime, ownRuntime } from "./compile_runtime.ts";
import { DENO_FLAGS } from "./deno_flags.ts";
import { recoverRuntime } from "./denort_recovery.ts";
import {
  aliasesOf,
  importsUsedBy,
  installPackages,
  type ProjectFile,
} from "./npm_packages.ts";

const ROOT = new URL("../../", import.meta.url);

/** Enough for 40 MB on a slow line; without a network it fails within seconds. */
const DOWNLOAD_LIMIT_MS = 180_000;

/** Folders whose files are no part of the program. */
const NOT_THE_PROGRAM = /^(?:bench|tests|tools|docs|packaging)\//;

/** What to build. */
export interface BuildOptions {
  /** As `deno compile --target` takes it. */
  readonly target: string;
  /** The executable's path; replaced only by a whole one. */
  readonly output: string;
  /** Where a recovered runtime is kept. */
  readonly cache: string;
  readonly report: (line: string) => void;
  readonly signal: AbortSignal;
}

/** What was built. */
export interface BuiltBinary {
  readonly path: string;
  readonly sizeBytes: number;
  /** The Deno inside, and one of that version to run other programs with. */
  readonly runtime: CompileRuntime;
}

/** `deno compile` did not. `code` is `compile.failed`. */
export class CompileError extends LodenError {
  constructor(denoVersion: string, why: string) {
    super(
      "compile.failed",
      `Cannot compile with Deno ${denoVersion}: ${why}`,
    );
  }
}

/** Builds the executable, with this Deno's own runtime if that can be had. */
export async function buildBinary(options: BuildOptions): Promise<BuiltBinary> {
  const { cache, output, report, signal, target } = options;
  const staging = await Deno.makeTempDir({ prefix: "loden-compile-" });
  await Deno.mkdir(dirname(output), { recursive: true });
  const fresh = `${output}.${Deno.pid}`;
  try {
    await stage(staging, signal);
    const runtime = await compileByEither(
      { staging, output: fresh, target, cache, report },
      signal,
    );
    await Deno.rename(fresh, output);
    const { size } = await Deno.stat(output);
    return { path: output, sizeBytes: size, runtime };
  } finally {
    await Deno.remove(staging, { recursive: true });
    await removeIfThere(fresh);
  }
}

/** `program/`, the bundle. */
async function stage(staging: string, signal: AbortSignal): Promise<void> {
  const root = fromFileUrl(ROOT);
  const { imports, license, name, version }: ProjectFile = JSON.parse(
    await Deno.readTextFile(`${root}deno.json`),
  );
  const sources = readSources(ROOT).filter(({ path }) =>
    !NOT_THE_PROGRAM.test(path)
  );
  // Paths are in the bundle, and must not tell where it was made.
  const copy = `${staging}/source`;
  await Deno.mkdir(copy);
  const parts = new Set(sources.map(({ path }) => path.split("/")[0]!));
  await run(["cp", "-r", ...[...parts].map((part) => root + part), copy]);
  const used = importsUsedBy(sources, imports);
  await installPackages(copy, used, `${root}deno.lock`, signal);
  await bundle({
    root: copy,
    sources,
    aliases: aliasesOf(used),
    project: { name, version, license, commit: await sourceCommit(signal) },
    output: `${staging}/program`,
  });
  // Deno would look for one above, and find another program's.
  await Deno.writeTextFile(`${staging}/program/deno.json`, "{}\n");
  // Deno embeds the times of files, too.
  await run([
    ...["find", `${staging}/program`],
    ...["-exec", "touch", "--date=@0", "{}", "+"],
  ]);
}

interface CompileInput {
  readonly staging: string;
  readonly output: string;
  readonly target: string;
  readonly cache: string;
  readonly report: (line: string) => void;
}

async function compileByEither(
  input: CompileInput,
  signal: AbortSignal,
): Promise<CompileRuntime> {
  const own = ownRuntime();
  const limit = AbortSignal.timeout(DOWNLOAD_LIMIT_MS);
  try {
    await compile(input, own, AbortSignal.any([signal, limit]));
    return own;
  } catch (error) {
    signal.throwIfAborted();
    const why = limit.aborted
      ? `no runtime within ${DOWNLOAD_LIMIT_MS / 1000} s`
      : (error as Error).message;
    input.report(`${why}; making one from npm's packages`);
  }
  const recovered = await recoverRuntime(input.target, input.cache, signal);
  await compile(input, recovered, signal);
  return recovered;
}

/** @throws {CompileError} or the signal's reason. */
async function compile(
  { output, staging, target }: CompileInput,
  { deno, denort, denoVersion }: CompileRuntime,
  signal: AbortSignal,
): Promise<void> {
  const { exitCode, stderr } = await attempt([
    // In the directory, so that the file tells nothing of where it was made.
    ...["env", "-C", `${staging}/program`],
    ...[deno, "compile", "--quiet", "--no-lock", "--no-remote"],
    ...DENO_FLAGS.map(({ flag }) => flag),
    // A target of one's own is downloaded even where `DENORT_BIN` is given.
    ...denort === undefined ? [`--target=${target}`] : [],
    ...(await workersIn(`${staging}/program`)).map((file) =>
      `--include=${file}`
    ),
    `--output=${output}`,
    "cli.js",
  ], {
    env: {
      NO_COLOR: "1",
      DENO_NO_UPDATE_CHECK: "1",
      ...denort === undefined ? {} : { DENORT_BIN: denort },
    },
    signal,
  });
  if (exitCode !== 0) throw new CompileError(denoVersion, reasonIn(stderr));
}

/** Only what the program names itself is embedded without being asked for. */
async function workersIn(program: string): Promise<string[]> {
  const files = await Array.fromAsync(Deno.readDir(program));
  return files.map(({ name }) => name)
    .filter((name) => name.endsWith(".js") && name !== "cli.js").sort();
}

/** Deno's last words, without the stack that follows them. */
function reasonIn(stderr: string): string {
  const [words] = stderr.split("\n\nStack backtrace");
  const lines = words!.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "").slice(-2).join(": ") ||
    "it gave no reason";
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
