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
}

const INDENT = 6;
const WIDTH = 80;

/** The whole text, lines ended by LF. */
export function renderHelp(
  flags: readonly FlagSpec[],
  options: HelpOptions,
): string {
  const blocks = [
    options.usage.map((form, index) =>
      `${index === 0 ? "Usage:" : "      "} ${form}`
    ),
    commandLines(options.commands ?? []),
    ...flagBlocks(flags, options.environment ?? false),
    nameLines(flags, "ignored", "Accepted and ignored:"),
    nameLines(flags, "refused", "Refused:"),
  ];
  return blocks.filter((block) => block.length > 0)
    .map((block) => block.map((line) => `${line}\n`).join(""))
    .join("\n");
}

function commandLines(commands: readonly CommandSummary[]): string[] {
  if (commands.length === 0) return [];
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    "Commands:",
    ...commands.map(({ name, help }) => `  ${name.padEnd(width)}  ${help}`),
  ];
}

function flagBlocks(
  flags: readonly FlagSpec[],
  environment: boolean,
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
  );
  const groups = FLAG_GROUPS.map((group) => ({
    group,
    members: active.filter((flag) => flag.group === group),
  })).filter(({ members }) => members.length > 0);
  return [
    intro,
    ...groups.map(({ group, members }) => [
      `${group}:`,
      ...members.flatMap(flagLines),
    ]),
  ];
}

function flagLines(flag: FlagSpec): string[] {
  const fallback = describeDefault(flag);
  return [
    `  ${flagForm(flag)}`,
    ...wrap(
      fallback === undefined ? flag.help : `${flag.help} (default ${fallback})`,
      INDENT,
    ),
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
): string[] {
  const names = flags.filter(({ status }) => status.kind === kind)
    .map(({ name }) => `--${name}`);
  return names.length === 0 ? [] : [heading, ...wrap(names.join(", "), 2)];
}

function wrap(text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  lines.push(line);
  return lines.map((text) => " ".repeat(indent) + text);
}
