/**
 * `loden(8)`, in `mdoc(7)`: from the tables of commands and flags, and from the
 * tables of `docs/cli.md`.
 *
 * @module
 */

import { environmentName, FLAG_GROUPS } from "../../config/flag_spec.ts";
import type { FlagSpec } from "../../config/flag_spec.ts";
import { AGENT_FLAGS } from "../../config/flags.ts";
import { describeDefault, flagForm } from "../../commands/help/help_text.ts";
import type { CommandEntry } from "../../commands/command.ts";
import { DEFAULT_COMMAND } from "../../commands/command.ts";
import { commandTable } from "../../commands/table.ts";
import { rowsUnder } from "./markdown_rows.ts";
import { macroWords, textLines } from "./mdoc.ts";

/** What stands in the page's frame. */
export interface ManPageOptions {
  /** Of the page: seconds since 1970, UTC. */
  readonly epochSeconds: number;
  /** The text of `docs/cli.md`. */
  readonly cli: string;
}

/** The whole page, lines ended by LF. */
export function renderManPage(
  { cli, epochSeconds }: ManPageOptions,
): string {
  const lines = [
    `.Dd ${formatDate(epochSeconds)}`,
    ".Dt LODEN 8",
    ".Os",
    ".Sh NAME",
    ".Nm loden ,",
    ".Nm flanneld",
    ".Nd container network for Docker hosts",
    ".Sh SYNOPSIS",
    ...commandTable.flatMap(synopsis),
    ...DESCRIPTION,
    ".Sh COMMANDS",
    ...list(commandTable.map((entry) => ({
      tag: `Cm ${macroWords(entry.name)}`,
      body: [
        ...textLines(sentence(entry.help)),
        ...ownFlags(entry),
      ],
    }))),
    ".Sh OPTIONS",
    ...textLines(
      "These are the options of the agent. The other commands accept those " +
        "that apply to them.",
    ),
    ...FLAG_GROUPS.flatMap(flagGroup),
    ...inertFlags("ignored", "Accepted and ignored:"),
    ...inertFlags("refused", "Refused:"),
    ".Sh ENVIRONMENT",
    ...textLines(
      "Each flag of the agent can also be set by a variable. Its name is " +
        "FLANNELD_ followed by the flag's name in capitals, with each dash " +
        "replaced by an underscore. --etcd-prefix becomes",
    ),
    ".Ev FLANNELD_ETCD_PREFIX .",
    ...textLines(
      "The command line overrides the environment, and the environment " +
        "overrides the file of --config.",
    ),
    ".Sh FILES",
    ...list(
      rowsUnder(cli, "Files").map(([path, text]) => ({
        tag: `Pa ${macroWords(path!)}`,
        body: textLines(text!),
      })),
    ),
    ".Sh EXIT STATUS",
    ...list(
      rowsUnder(cli, "Exit codes").map(([code, text]) => ({
        tag: macroWords(code!),
        body: textLines(text!),
      })),
    ),
    ".Sh SIGNALS",
    ...textLines("What the agent does on each signal:"),
    ...list(
      rowsUnder(cli, "Signals").map(([signal, text]) => ({
        tag: `Dv ${macroWords(signal!)}`,
        body: textLines(text!),
      })),
    ),
    ...EXAMPLES,
  ];
  return lines.map((line) => `${line}\n`).join("");
}

const DESCRIPTION: readonly string[] = [
  ".Sh DESCRIPTION",
  ".Nm",
  ...textLines(
    "connects the containers of Docker hosts in one network. It replaces " +
      "flannel's flanneld: each host leases a subnet in etcd, gives it to " +
      "Docker, and carries packets to the other hosts in UDP datagrams.",
  ),
  ".Nm flanneld",
  ...textLines("is another name for the same program."),
  ".Pp",
  ...textLines(
    "Flags start with one dash or two. A value follows after = or as the " +
      "next word; true and false must follow =. Stopping the agent does not " +
      "remove the network: devices, routes, rules and files stay until",
  ),
  ".Nm",
  ".Cm cleanup",
  ...textLines("removes them."),
];

const EXAMPLES: readonly string[] = [
  ".Sh EXAMPLES",
  ...textLines("Publish the network config, once:"),
  ".Bd -literal -offset indent",
  "loden config put '{ \\(dqNetwork\\(dq: \\(dq10.1.0.0/16\\(dq }'",
  ".Ed",
  ".Pp",
  ...textLines("Run the agent on each host:"),
  ".Bd -literal -offset indent",
  "loden \\-\\-etcd\\-endpoints=http://192.0.2.1:2379 \\-\\-iface=eth1 " +
  "\\-\\-ip\\-masq",
  ".Ed",
  ".Sh SEE ALSO",
  "The documentation in",
  ".Pa /usr/share/doc/loden/docs/README.md .",
];

interface Item {
  /** A macro and its arguments, or text. */
  readonly tag: string;
  readonly body: readonly string[];
}

function list(items: readonly Item[]): string[] {
  return [
    ".Bl -tag -width Ds",
    ...items.flatMap(({ body, tag }) => [`.It ${tag}`, ...body]),
    ".El",
  ];
}

function synopsis({ name, synopsis }: CommandEntry): string[] {
  return [
    ".Nm",
    ...name === DEFAULT_COMMAND ? [] : [`.Cm ${macroWords(name)}`],
    ...synopsis === "" ? [] : [`.No ${macroWords(synopsis)}`],
  ];
}

/** The agent's have a section of their own. */
function ownFlags({ flags }: CommandEntry): string[] {
  const own = flags.filter((flag) => !AGENT_FLAGS.includes(flag as never));
  return own.length === 0 ? [] : list(own.map(flagItem));
}

function flagGroup(group: FlagSpec["group"]): string[] {
  const members = AGENT_FLAGS.filter((flag) =>
    flag.group === group && flag.status.kind === "active"
  );
  return members.length === 0
    ? []
    : [`.Ss ${macroWords(group)}`, ...list(members.map(flagItem))];
}

function flagItem(flag: FlagSpec): Item {
  const [name, value] = flagForm(flag).slice(1).split("=");
  const fallback = describeDefault(flag);
  return {
    tag: `Fl ${name!.replaceAll("-", "\\-")}` +
      (value === undefined ? "" : ` Ns = Ns Ar ${macroWords(value)}`),
    body: [
      ...textLines(sentence(flag.help)),
      ...fallback === undefined ? [] : textLines(`The default is ${fallback}.`),
      ...flag.commandLineOnly ? [] : [`.Pq Ev ${environmentName(flag)}`],
    ],
  };
}

function inertFlags(kind: "ignored" | "refused", heading: string): string[] {
  const names = AGENT_FLAGS.filter(({ status }) => status.kind === kind)
    .map(({ name }) => `--${name}`);
  return names.length === 0 ? [] : [
    ".Pp",
    ...textLines(heading),
    ...textLines(`${names.join(", ")}.`),
  ];
}

/** With a full stop. Names such as etcd keep their small letter. */
function sentence(text: string): string {
  return `${text}.`;
}

function formatDate(epochSeconds: number): string {
  return new Intl.DateTimeFormat("en-US", {
    dateStyle: "long",
    timeZone: "UTC",
  }).format(new Date(epochSeconds * 1_000));
}
