/**
 * Go's flag syntax (compat 1.1), for the agent and for every subcommand.
 *
 * @module
 */

import { UsageError } from "./errors.ts";
import { bareValue, type FlagSpec, type FlagValue } from "./flag_spec.ts";
import { type ParsedValue, parseFlagValue, parseGoBool } from "./flag_value.ts";
import { nearMatch } from "./near_match.ts";

/** A flag as given: the last value, or for a list all values. */
export interface GivenFlag {
  readonly flag: FlagSpec;
  /** With its dashes, as written. */
  readonly spelling: string;
  readonly value: FlagValue;
}

/** A parsed command line. */
export interface CommandLine {
  /** By flag name; only flags that were given. */
  readonly given: ReadonlyMap<string, GivenFlag>;
  /** Words that belong to no flag. */
  readonly words: readonly string[];
  /** `-h` or `-help` was given; the rest of the line is not parsed. */
  readonly help: boolean;
}

/** What to do with words that belong to no flag. */
export interface GoFlagOptions {
  /**
   * `refuse`: such a word is a usage error, as in flannel 0.5. (HEAD silently
   * drops it and everything after it, so that a typing error starts an agent
   * with half its flags.) `collect`: such words may come before, between and
   * after flags; after `--` every word is one.
   */
  readonly words: "refuse" | "collect";
  /** A hint for a refused word, for words that need a special one. */
  readonly hintFor?: (word: string) => string | undefined;
}

/**
 * Parses `argv`: one dash or two, `-x=v` or `-x v`. A bool takes a value only
 * with `=`. The last value of a scalar wins; lists collect all values.
 *
 * @throws {UsageError} for an unknown flag, a missing or bad value, an extra
 * word.
 */
export function parseGoFlags(
  flags: readonly FlagSpec[],
  argv: readonly string[],
  options: GoFlagOptions,
): CommandLine {
  const given = new Map<string, GivenFlag>();
  const words: string[] = [];
  let help = false;
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index]!;
    if (argument === "--") {
      words.push(...argv.slice(index + 1));
      break;
    }
    if (argument.length < 2 || !argument.startsWith("-")) {
      words.push(argument);
      if (options.words === "collect") continue;
      throw wordError(flags, argument, argv[index - 1], options);
    }
    const { dashes, name, text } = splitArgument(argument);
    if (name === "h" || (name === "help" && text === undefined)) {
      help = true;
      break;
    }
    const flag = flags.find((candidate) => candidate.name === name);
    if (flag === undefined) throw unknownFlag(flags, dashes + name);
    const spelling = dashes + name;
    let valueText = text;
    if (valueText === undefined) {
      valueText = bareValue(flag) ?? argv[++index];
      if (valueText === undefined) throw missingValue(flag, spelling);
    }
    const parsed = parseFlagValue(flag, valueText);
    if (!("value" in parsed)) {
      throw badValue(flag, spelling, valueText, parsed);
    }
    const before = given.get(name)?.value;
    const value = Array.isArray(before) && Array.isArray(parsed.value)
      ? [...before, ...parsed.value]
      : parsed.value;
    given.set(name, { flag, spelling, value });
  }
  if (options.words === "refuse" && words.length > 0) {
    throw wordError(flags, words[0]!, "--", options);
  }
  return { given, words, help };
}

function splitArgument(
  argument: string,
): { dashes: string; name: string; text: string | undefined } {
  const dashes = argument.startsWith("--") ? "--" : "-";
  const rest = argument.slice(dashes.length);
  // As in Go, a name has at least one character that is neither dash nor "=".
  if (rest.startsWith("-") || rest.startsWith("=")) {
    throw new UsageError(
      "usage.syntax",
      `Cannot read the command line: a flag must be -name, -name=value or ` +
        `--name=value: current word is ${JSON.stringify(argument)}`,
    );
  }
  const equals = rest.indexOf("=");
  return equals < 0
    ? { dashes, name: rest, text: undefined }
    : { dashes, name: rest.slice(0, equals), text: rest.slice(equals + 1) };
}

function unknownFlag(flags: readonly FlagSpec[], spelling: string): UsageError {
  // Do not show the value: it may be a password after a misspelt name.
  const near = nearMatch(spelling, flags.map(({ name }) => name));
  return new UsageError(
    "usage.unknown-flag",
    `Cannot read the command line: there is no flag ${spelling}`,
    {
      hint: near === undefined
        ? "see --help"
        : `did you mean --${near}? see --help`,
    },
  );
}

function missingValue(flag: FlagSpec, spelling: string): UsageError {
  return new UsageError(
    "usage.missing-value",
    `Cannot read the command line: ${spelling} must be followed by a value`,
    { hint: `write ${spelling}=${placeholderOf(flag)}` },
  );
}

function badValue(
  flag: FlagSpec,
  spelling: string,
  text: string,
  refusal: Extract<ParsedValue, { rule: string }>,
): UsageError {
  return new UsageError(
    "usage.bad-value",
    `Cannot read the command line: ${spelling} must be ${refusal.rule}: ` +
      `current value is ${flag.secret ? "hidden" : JSON.stringify(text)}`,
    { hint: `for example ${spelling}=${refusal.example}` },
  );
}

function wordError(
  flags: readonly FlagSpec[],
  word: string,
  before: string | undefined,
  { hintFor }: GoFlagOptions,
): UsageError {
  const name = before?.replace(/^--?/, "");
  const bool = flags.find((flag) => flag.type === "bool" && flag.name === name);
  return new UsageError(
    "usage.word",
    `Cannot read the command line: every word must be a flag or a flag's ` +
      `value: current word is ${JSON.stringify(word)}`,
    {
      hint: bool && parseGoBool(word) !== undefined
        ? `a value of ${before} is joined to it: ${before}=${word}`
        : hintFor?.(word) ?? "see --help",
    },
  );
}

function placeholderOf(flag: FlagSpec): string {
  switch (flag.type) {
    case "string":
    case "list":
      return flag.placeholder;
    case "enum":
      return flag.words.join("|");
    default:
      return String(flag.default);
  }
}
