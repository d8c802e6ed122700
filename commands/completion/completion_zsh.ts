/**
 * Completion for zsh.
 *
 * @module
 */

import { type FlagSpec, isValueJoined } from "../../config/flag_spec.ts";
import {
  beginnings,
  type CompletionInput,
  dashed,
  nextWords,
  offered,
  quoteShell,
  valueKind,
} from "./completion_model.ts";

/** The script for zsh. */
export function zshScript(
  { program, flags, commands }: CompletionInput,
): string {
  const words = beginnings(commands).map((before) => {
    const next = nextWords(commands, before)
      .map(({ word, help }) => quoteShell(`${escapeColon(word)}:${help}`));
    return `    ${quoteShell(before.join(" "))}) next=(${next.join(" ")}) ;;`;
  });
  const flagLists = [{ name: "", flags }, ...commands].map((command) =>
    [
      `    ${quoteShell(command.name)}) flags=(`,
      ...offered(command.flags).map((flag) => `      ${zshFlag(flag)}`),
      "    ) ;;",
    ].join("\n")
  );
  return `#compdef ${program}
# zsh completion for ${program}
_${program}() {
  local command="" index
  local -a next flags
  for ((index = 2; index < CURRENT; index++)); do
    [[ $words[index] == -* ]] && break
    command="\${command:+$command }$words[index]"
  done
  case $command in
${words.join("\n")}
  esac
  case $command in
${flagLists.join("\n")}
  esac
  if (( $#next )) && [[ $words[CURRENT] != -* ]]; then
    _describe command next
  else
    _arguments -S : $flags '*: :()'
  fi
}
if [[ $funcstack[1] == _${program} ]]; then _${program} "$@"; else compdef _${program} ${program}; fi
`;
}

function zshFlag(flag: FlagSpec): string {
  const repeat = flag.type === "list" ? "*" : "";
  const help = flag.help.replaceAll(/[[\]:]/g, " ");
  if (isValueJoined(flag)) {
    return quoteShell(`${repeat}${dashed(flag)}[${help}]`);
  }
  const value = valueKind(flag);
  const action = value.kind === "words" ? `(${value.words.join(" ")})` : {
    file: "_files",
    directory: "_files -/",
    interface: "_net_interfaces",
    other: " ",
  }[value.kind];
  return quoteShell(`${repeat}${dashed(flag)}=[${help}]:value:${action}`);
}

function escapeColon(text: string): string {
  return text.replaceAll(":", "\\:");
}
