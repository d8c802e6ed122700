/**
 * What is handed out, in `dist/`: a tarball, a Debian package, the bill of
 * materials, the sums of these and, with a key, a signature of the sums.
 *
 *     deno task dist [--binary=PATH] [--runtime=KIND] [--out=DIR]
 *       [--only=tarball|deb] [--sign-key=FILE]
 *
 * Without `--binary` the binary is compiled first. A binary with a recovered
 * runtime is refused without `--runtime=recovered`.
 *
 * Exit codes: 0, 1 when something cannot be made, 2 for a wrong argument,
 * 128 + n when signal n ended it.
 *
 * @module
 */

import { describeError } from "../errors.ts";
import { AptHost } from "./apt.ts";
import type { RuntimeKind } from "./compile/compile_runtime.ts";
import { makeDist } from "./dist/make_dist.ts";
import {
  DIST_USAGE,
  type DistOptions,
  DistUsageError,
  parseDistOptions,
} from "./dist/options.ts";
import { requireSignKey } from "./dist/sign.ts";
import { Interrupted, onInterrupt } from "./interrupt.ts";
import { ensurePackages, requirementsOfDist } from "./packages.ts";
import { extendSystemPath } from "./system_path.ts";

const COMPILED = "dist/loden";

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  let options: DistOptions;
  try {
    options = parseDistOptions(args);
  } catch (error) {
    if (!(error instanceof DistUsageError)) throw error;
    console.error(`${describeError(error)}\n\n${DIST_USAGE}`);
    return 2;
  }
  if (options.help) {
    console.log(DIST_USAGE);
    return 0;
  }
  extendSystemPath();
  const report = (line: string) => console.log(line);
  const apt = new AptHost(report);
  using interrupt = onInterrupt(() => apt.abandon());
  const { signal } = interrupt;
  try {
    const { binary = COMPILED, formats, out, runtime, signKey } = options;
    // Before it compiles for a minute.
    if (signKey !== undefined) await requireSignKey(signKey);
    await ensurePackages(requirementsOfDist(options), apt, report, signal);
    if (options.binary === undefined && !await compile(runtime, signal)) {
      return 1;
    }
    const plan = { binary, formats, runtime, out, signKey, signal };
    for (const name of await makeDist(plan)) {
      const { size } = await Deno.stat(`${out}/${name}`);
      report(`${out}/${name}: ${(size / 1e6).toFixed(1)} MB`);
    }
    return 0;
  } catch (error) {
    const interrupted = signal.reason;
    if (interrupted instanceof Interrupted) {
      console.error(`\n${interrupted.message}`);
      return interrupted.exitCode;
    }
    console.error(describeError(error));
    return 1;
  }
}

/** @returns whether it could be compiled; else it has said why. */
async function compile(
  runtime: RuntimeKind,
  signal: AbortSignal,
): Promise<boolean> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "compile", `--runtime=${runtime}`],
    stdin: "null",
    signal,
  }).spawn().status;
  signal.throwIfAborted();
  return success;
}
