/**
 * The command line of a subcommand: its flags, its words and its help.
 *
 * @module
 */

import { type CommandLine, parseGoFlags } from "../config/go_flags.ts";
import { UsageError } from "../config/errors.ts";
import { renderHelp } from "./help/help_text.ts";
import { resolveSettings, type Settings } from "../config/settings.ts";
import type { CommandContext, CommandEntry, CommandIo } from "./command.ts";
import { acceptedFlags } from "./flags.ts";

/**
 * Reads `io.argv` by the command's flags.
 *
 * @returns `undefined` after printing the help that was asked for.
 * @throws {UsageError}
 */
export function readCommandLine(io: CommandContext): CommandLine | undefined {
  const line = parseGoFlags(acceptedFlags(io.entry.flags), io.argv, {
    words: "collect",
  });
  if (!line.help && line.given.get("help")?.value !== true) return line;
  io.stdout(commandHelp(io.entry, io.terminal()?.columns));
  return undefined;
}

/**
 * As {@linkcode readCommandLine}, for a command that takes no words.
 *
 * @throws {UsageError}
 */
export function readFlags(io: CommandContext): CommandLine | undefined {
  const line = readCommandLine(io);
  const word = line?.words[0];
  if (word === undefined) return line;
  const { name } = io.entry;
  throw new UsageError(
    "usage.word",
    `Cannot run ${name}: it takes flags only: current word is ` +
      JSON.stringify(word),
    { hint: `see loden ${name} --help` },
  );
}

/** The help of one command, for a terminal of so many columns. */
export function commandHelp(entry: CommandEntry, columns?: number): string {
  return renderHelp(entry.flags, {
    usage: [`loden ${entry.name} ${entry.synopsis}`],
    columns,
    environment: entry.flags.some(({ commandLineOnly }) => !commandLineOnly),
  });
}

/** Whether a flag that is false by default was set. */
export function isSet(line: CommandLine, flagName: string): boolean {
  return line.given.get(flagName)?.value === true;
}

/**
 * The settings of a subcommand, without its own flags.
 *
 * @param features the words of `--disable-feature`, if they are to be checked.
 * @throws {SettingsError}
 */
export function readSettings(
  io: CommandIo,
  line: CommandLine,
  features?: readonly string[],
): Promise<Settings> {
  return resolveSettings({
    argv: line,
    env: io.env,
    readFile: (path) => Deno.readTextFile(path),
    ...(features === undefined ? {} : { features }),
  });
}
