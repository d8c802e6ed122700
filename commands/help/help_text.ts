/**
 * `--help`, from a table of flags.
 *
 * @module
 */

import {
  FLAG_GROUPS,
  type FlagSpec,
  isValueJoined,
} from "../../config/flag_spec.ts";
import { explainedNames, wrap } from "../terminal/wrap.ts";

/** A subcommand, for help and completion. */
export interface CommandSummary {
  /** Its name: `status`, `config show`. */
  readonly name: string;
  /** One line. */
  readonly help: string;
  /** Its flags; empty for a command with another syntax. */
  readonly flags: readonly FlagSpec[];
}

/** The text around the flags. */
export interface HelpOptions {
  /** Its forms, one per line: `loden [FLAG]...`. */
  readonly usage: readonly string[];
  readonly commands?: readonly CommandSummary[];
  /** Whether the flags can be set by `FLANNELD_*` too. */
  readonly environment?: boolean;
  /** Of the terminal; text is never wider than {@linkcode WIDEST}. */
  readonly columns?: number | undefined;
}

const INDENT = 6;
/** Longer lines are hard to read. */
const WIDEST = 80;

/** The whole text, lines ended by LF. */
export function renderHelp(
  flags: readonly FlagSpec[],
  options: HelpOptions,
): string {
  const columns = widthOf(options.columns);
  const blocks = [
    usageLines(options.usage, options.columns),
    commandLines(options.commands ?? [], columns),
    ...flagBlocks(flags, options.environment ?? false, columns),
    nameLines(flags, "ignored", "Accepted and ignored:", columns),
    nameLines(flags, "refused", "Refused:", columns),
  ];
  return blocks.filter((block) => block.length > 0)
    .map((block) => block.map((line) => `${line}\n`).join(""))
    .join("\n");
}

function widthOf(columns: number | undefined): number {
  return Math.min(WIDEST, columns ?? WIDEST);
}

/** In a file or a pipe, a form is one line. */
function usageLines(
  forms: readonly string[],
  columns = Infinity,
): string[] {
  return forms.flatMap((form, index) =>
    wrap(
      `${index === 0 ? "Usage:" : "      "} ${form}`,
      "Usage: ".length,
      columns,
    )
  );
}

function commandLines(
  commands: readonly CommandSummary[],
  columns: number,
): string[] {
  return commands.length === 0 ? [] : [
    "Commands:",
    ...explainedNames(
      commands.map(({ help, name }) => [name, help]),
      columns,
    ),
  ];
}

/** The list of commands, as `loden help` prints it. */
export function renderUsage(
  commands: readonly CommandSummary[],
  columns?: number,
): string {
  const width = widthOf(columns);
  return [
    ...usageLines(["loden [COMMAND] [FLAG]..."], columns),
    "",
    ...commandLines(commands, width),
    "",
    ...wrap(
      "Without a command the agent runs, with flanneld's flags: loden --help",
      0,
      width,
    ),
    "",
  ].join("\n");
}

function flagBlocks(
  flags: readonly FlagSpec[],
  environment: boolean,
  columns: number,
): string[][] {
  const active = flags.filter(({ status }) => status.kind === "active");
  if (active.length === 0) return [];
  const intro = wrap(
    'Flags start with one dash or two. A value follows after "=" or as the ' +
      'next word; true and false must follow "=".' +
      (environment
        ? " Each flag can also be set in the environment, --etcd-prefix as " +
          "FLANNELD_ETCD_PREFIX. The command line overrides the environment, " +
          "and the environment overrides the file of --config."
        : ""),
    0,
    columns,
  );
  const groups = FLAG_GROUPS.map((group) => ({
    group,
    members: active.filter((flag) => flag.group === group),
  })).filter(({ members }) => members.length > 0);
  return [
    intro,
    ...groups.map(({ group, members }) => [
      `${group}:`,
      ...members.flatMap((flag) => flagLines(flag, columns)),
    ]),
  ];
}

function flagLines(flag: FlagSpec, columns: number): string[] {
  const fallback = describeDefault(flag);
  const text = fallback === undefined
    ? flag.help
    : `${flag.help} (default ${fallback})`;
  return [
    `  ${flagForm(flag)}`,
    ...wrap(" ".repeat(INDENT) + text, INDENT, columns),
  ];
}

/** `--name=VALUE` as help and documentation show it. */
export function flagForm(flag: FlagSpec): string {
  const dashes = flag.name.length === 1 ? "-" : "--";
  const value = valueForm(flag);
  if (value === undefined) return dashes + flag.name;
  return dashes + flag.name +
    (isValueJoined(flag) ? `[=${value}]` : `=${value}`);
}

/** The placeholder of the value; `undefined` for a bool. */
function valueForm(flag: FlagSpec): string | undefined {
  switch (flag.type) {
    case "bool":
      return undefined;
    case "int":
      return flag.unit?.toUpperCase() ?? "N";
    case "enum":
      return flag.words.join("|");
    default:
      return flag.placeholder;
  }
}

/** The default as text; `undefined` if there is none. */
export function describeDefault(flag: FlagSpec): string | undefined {
  if (flag.type === "list" || flag.default === "") return undefined;
  if (flag.type === "bool" && !flag.default) return undefined;
  return String(flag.default);
}

function nameLines(
  flags: readonly FlagSpec[],
  kind: "ignored" | "refused",
  heading: string,
  columns: number,
): string[] {
  const names = flags.filter(({ status }) => status.kind === kind)
    .map(({ name }) => `--${name}`);
  return names.length === 0
    ? []
    : [heading, ...wrap(`  ${names.join(", ")}`, 2, columns)];
}
