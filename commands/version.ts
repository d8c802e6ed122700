/**
 * `loden version`.
 *
 * @module
 */

import { exitCodes } from "../agent/exit_codes.ts";
import { RUNTIME, VERSION } from "../version.ts";
import { buildCommit } from "./build_commit.ts";
import type { CommandContext } from "./command.ts";
import { isSet, readFlags } from "./command_line.ts";

/** Prints what a bug report needs. */
export async function run(io: CommandContext): Promise<number> {
  const line = readFlags(io);
  if (line === undefined) return exitCodes.ok;
  io.stdout(
    isSet(line, "json")
      ? JSON.stringify(await versions()) + "\n"
      : await describeVersions(),
  );
  return exitCodes.ok;
}

/** One a line. */
export async function describeVersions(): Promise<string> {
  return Object.entries(await versions())
    .map(([name, version]) => `${name.padEnd(12)} ${version}\n`).join("");
}

async function versions() {
  return {
    loden: VERSION,
    commit: await buildCommit(),
    deno: Deno.version.deno,
    runtime: RUNTIME ?? "none: runs from the sources",
    v8: Deno.version.v8,
    kernel: Deno.osRelease(),
    architecture: Deno.build.arch,
  };
}
