/**
 * Completion for fish.
 *
 * @module
 */

import { type FlagSpec, isValueJoined } from "../../config/flag_spec.ts";
import {
  beginnings,
  type CompletionInput,
  nextWords,
  offered,
  valueKind,
} from "./completion_model.ts";

/** The script for fish. */
export function fishScript(
  { program, flags, commands }: CompletionInput,
): string {
  const lines = [
    `# fish completion for ${program}`,
    `complete -c ${program} -f`,
  ];
  for (const before of beginnings(commands)) {
    const next = nextWords(commands, before);
    const condition = fishCondition(before, next.map(({ word }) => word));
    for (const { word, help } of next) {
      lines.push(
        `complete -c ${program} -n ${quoteFish(condition)} -a ${word} ` +
          `-d ${quoteFish(help)}`,
      );
    }
  }
  const firstWords = nextWords(commands, []).map(({ word }) => word);
  for (const command of [{ name: "", flags }, ...commands]) {
    const condition = command.name === ""
      ? fishCondition([], firstWords)
      : fishCondition(command.name.split(" "), []);
    for (const flag of offered(command.flags)) {
      lines.push(
        `complete -c ${program} -n ${quoteFish(condition)} ${fishFlag(flag)}`,
      );
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

function fishCondition(
  seen: readonly string[],
  unseen: readonly string[],
): string {
  const parts = seen.map((word) => `__fish_seen_subcommand_from ${word}`);
  if (unseen.length > 0) {
    parts.push(`not __fish_seen_subcommand_from ${unseen.join(" ")}`);
  }
  return parts.length === 0 ? "true" : parts.join("; and ");
}

function fishFlag(flag: FlagSpec): string {
  const name = flag.name.length === 1 ? `-s ${flag.name}` : `-l ${flag.name}`;
  const description = `-d ${quoteFish(flag.help)}`;
  if (isValueJoined(flag)) return `${name} ${description}`;
  const value = valueKind(flag);
  switch (value.kind) {
    case "words":
      return `${name} -x -a ${quoteFish(value.words.join(" "))} ${description}`;
    case "file":
      return `${name} -r -F ${description}`;
    case "directory":
      return `${name} -x -a '(__fish_complete_directories)' ${description}`;
    case "interface":
      return `${name} -x -a '(command ls /sys/class/net)' ${description}`;
    case "other":
      return `${name} -x ${description}`;
  }
}

/** A word in single quotes, for fish, where a backslash escapes inside them. */
function quoteFish(text: string): string {
  return `'${text.replaceAll(/[\\']/g, "\\$&")}'`;
}
