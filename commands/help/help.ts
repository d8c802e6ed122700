/**
 * `loden help`.
 *
 * @module
 */

import { exitCodes } from "../../agent/exit_codes.ts";
import type { CommandContext } from "../command.ts";
import { commandHelp, readCommandLine } from "../command_line.ts";
import { findCommand } from "../dispatch.ts";
import { renderUsage } from "./help_text.ts";

/** Prints the list of commands, or the help of the named one. */
export function run(io: CommandContext): number {
  const line = readCommandLine(io);
  if (line === undefined) return exitCodes.ok;
  const columns = io.terminal()?.columns;
  if (line.words.length === 0) {
    io.stdout(renderUsage(io.table, columns));
  } else {
    io.stdout(commandHelp(findCommand(line.words, io.table).entry, columns));
  }
  return exitCodes.ok;
}
