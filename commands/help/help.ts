/**
 * `loden help`.
 *
 * @module
 */

import { exitCodes } from "../../agent/exit_codes.ts";
import type { CommandIo } from "../command.ts";
import { commandHelp, readCommandLine } from "../command_line.ts";
import { findCommand, usage } from "../dispatch.ts";
import { commandTable } from "../table.ts";

/** Prints the list of commands, or the help of the one that is named. */
export function run(io: CommandIo): number {
  const line = readCommandLine(io, "help");
  if (line === undefined) return exitCodes.ok;
  if (line.words.length === 0) {
    io.stdout(usage());
  } else {
    io.stdout(commandHelp(findCommand(line.words, commandTable).entry));
  }
  return exitCodes.ok;
}
