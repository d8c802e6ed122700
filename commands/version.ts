/**
 * `loden version`.
 *
 * @module
 */

import { exitCodes } from "../agent/exit_codes.ts";
import { VERSION } from "../version.ts";
import { buildCommit } from "./build_commit.ts";
import type { CommandIo } from "./command.ts";
import { isSet, readCommandLine, refuseWords } from "./command_line.ts";

/** Prints what a bug report needs. */
export async function run(io: CommandIo): Promise<number> {
  const line = readCommandLine(io, "version");
  if (line === undefined) return exitCodes.ok;
  refuseWords(line, "version");
  const versions = {
    loden: VERSION,
    commit: await buildCommit(),
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    kernel: Deno.osRelease(),
    architecture: Deno.build.arch,
  };
  io.stdout(
    isSet(line, "json")
      ? JSON.stringify(versions) + "\n"
      : Object.entries(versions).map(([name, version]) =>
        `${name.padEnd(12)} ${version}\n`
      ).join(""),
  );
  return exitCodes.ok;
}
