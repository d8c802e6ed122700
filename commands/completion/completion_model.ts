/**
 * What the completion scripts of all shells are made from.
 *
 * @module
 */

import { type FlagSpec, isValueJoined } from "../../config/flag_spec.ts";
import type { CommandSummary } from "../help/help_text.ts";

/** What a script completes. */
export interface CompletionInput {
  /** The program's name, a single plain word. */
  readonly program: string;
  /** The flags without a subcommand. */
  readonly flags: readonly FlagSpec[];
  readonly commands: readonly CommandSummary[];
}

/** The kind of a flag's value, as far as a shell can complete it. */
export type ValueKind =
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "file" | "directory" | "interface" | "other" };

export function valueKind(flag: FlagSpec): ValueKind {
  if (flag.type === "bool") return { kind: "words", words: ["true", "false"] };
  if (flag.type === "enum") return { kind: "words", words: flag.words };
  if (flag.name === "iface") return { kind: "interface" };
  const placeholder = flag.type === "int" ? "" : flag.placeholder;
  if (placeholder === "FILE") return { kind: "file" };
  return { kind: placeholder === "DIRECTORY" ? "directory" : "other" };
}

/** Refused and ignored flags are not offered. */
export function offered(flags: readonly FlagSpec[]): FlagSpec[] {
  return flags.filter(({ status }) => status.kind === "active");
}

/** All that may be offered anywhere, each name once. */
export function allOffered({ flags, commands }: CompletionInput): FlagSpec[] {
  const byName = new Map<string, FlagSpec>();
  for (const flag of offered([flags, ...commands.map((c) => c.flags)].flat())) {
    if (!byName.has(flag.name)) byName.set(flag.name, flag);
  }
  return [...byName.values()];
}

export function dashed(flag: FlagSpec): string {
  return flag.name.length === 1 ? `-${flag.name}` : `--${flag.name}`;
}

/** With the `=` that joins the value, unless it needs none. */
export function dashedWithEquals(flag: FlagSpec): string {
  return isValueJoined(flag) ? dashed(flag) : `${dashed(flag)}=`;
}

/** The words that may follow the words already there: `config` gives `show get put`. */
export function nextWords(
  commands: readonly CommandSummary[],
  before: readonly string[],
): { word: string; help: string }[] {
  const found = new Map<string, string>();
  for (const { name, help } of commands) {
    const words = name.split(" ");
    const word = words[before.length];
    if (word === undefined || before.some((w, i) => w !== words[i])) continue;
    const last = words.length === before.length + 1;
    if (!found.has(word)) found.set(word, last ? help : `${word} …`);
  }
  return [...found].map(([word, help]) => ({ word, help }));
}

/** Every proper prefix of a command's words, the empty one first. */
export function beginnings(commands: readonly CommandSummary[]): string[][] {
  const found = new Set<string>([""]);
  for (const { name } of commands) {
    const words = name.split(" ");
    for (let length = 1; length < words.length; length++) {
      found.add(words.slice(0, length).join(" "));
    }
  }
  return [...found].map((text) => text === "" ? [] : text.split(" "));
}

/** A word in single quotes, for bash and zsh. */
export function quoteShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
