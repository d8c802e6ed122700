/**
 * Turns the command line into an exit code.
 *
 * @module
 */

import { UsageError } from "../config/errors.ts";
import { nearMatch } from "../config/near_match.ts";
import {
  type CommandEntry,
  type CommandIo,
  DEFAULT_COMMAND,
} from "./command.ts";
import { exitCodeOf, printError } from "./failure.ts";
import { renderUsage } from "./help/help_text.ts";

/** Runs the command that `io.argv` names; never rejects. */
export async function dispatch(
  io: CommandIo,
  table: readonly CommandEntry[],
): Promise<number> {
  let usageText = renderUsage(table, io.errorTerminal()?.columns);
  try {
    const { entry, rest } = findCommand(io.argv, table);
    usageText = usageOf(entry);
    const { run } = await entry.load();
    return await run({ ...io, argv: rest, entry, table });
  } catch (error) {
    printError(io, error);
    if (error instanceof UsageError) io.stderr(usageText);
    return exitCodeOf(error);
  }
}

/** The first word (or two) names no command. */
class UnknownCommandError extends UsageError {}

/** @throws {UnknownCommandError} naming what was typed and what is near. */
export function findCommand(
  argv: readonly string[],
  table: readonly CommandEntry[],
): { entry: CommandEntry; rest: readonly string[] } {
  const [first, second] = argv;
  // An empty word is not a flag and must not silently start the agent.
  if (first === undefined || first.startsWith("-")) {
    return { entry: byName(DEFAULT_COMMAND, table)!, rest: argv };
  }
  const pair = second === undefined
    ? undefined
    : byName(`${first} ${second}`, table);
  if (pair !== undefined) return { entry: pair, rest: argv.slice(2) };
  const single = byName(first, table);
  if (single !== undefined) return { entry: single, rest: argv.slice(1) };
  throw unknownCommand(first, second, table);
}

function unknownCommand(
  first: string,
  second: string | undefined,
  table: readonly CommandEntry[],
): UnknownCommandError {
  const group = table.filter(({ name }) => name.startsWith(`${first} `))
    .map(({ name }) => name);
  if (group.length > 0) {
    return new UnknownCommandError(
      "usage.command",
      `Cannot run ${first}: it must be followed by one of ` +
        `${group.map((name) => name.split(" ")[1]).join(", ")}: ` +
        `current word is ${second === undefined ? "missing" : quote(second)}`,
    );
  }
  const near = nearMatch(first, table.map(({ name }) => name.split(" ")[0]!));
  return new UnknownCommandError(
    "usage.command",
    `Cannot run ${quote(first)}: there is no such command`,
    near === undefined ? {} : { hint: `did you mean ${near}?` },
  );
}

function byName(
  name: string,
  table: readonly CommandEntry[],
): CommandEntry | undefined {
  return table.find((entry) => entry.name === name);
}

function usageOf({ name, synopsis }: CommandEntry): string {
  const command = name === DEFAULT_COMMAND ? "loden" : `loden ${name}`;
  return `Usage: ${command} ${synopsis}\nAll flags: ${command} --help\n`;
}

function quote(word: string): string {
  return JSON.stringify(word);
}
