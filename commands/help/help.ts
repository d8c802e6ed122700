/**
 * `loden help`.
 *
 * @module
 */

import { exitCodes } from "../../agent/exit_codes.ts";
import type { CommandContext } from "../command.ts";
import { commandHelp, readCommandLine } from "../command_line.ts";
import { findCommand, usage } from "../dispatch.ts";

/** Prints the list of commands, or the help of the named one. */
export function run(io: CommandContext): number {
  const line = readCommandLine(io);
  if (line === undefined) return exitCodes.ok;
  if (line.words.length === 0) {
    io.stdout(usage(io.table));
  } else {
    io.stdout(commandHelp(findCommand(line.words, io.table).entry));
  }
  return exitCodes.ok;
}
