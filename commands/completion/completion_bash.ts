/**
 * Completion for bash.
 *
 * @module
 */

import { type FlagSpec, isValueJoined } from "../../config/flag_spec.ts";
import {
  allOffered,
  beginnings,
  type CompletionInput,
  dashed,
  dashedWithEquals,
  nextWords,
  offered,
  quoteShell,
  valueKind,
} from "./completion_model.ts";

/** The script for bash. */
export function bashScript(input: CompletionInput): string {
  const { program, flags, commands } = input;
  const values = allOffered(input).map((flag) => {
    const name = dashed(flag);
    // Such a value is never a word of its own.
    const forms = isValueJoined(flag)
      ? [`${name}=`, `-${flag.name}=`]
      : [name, `-${flag.name}`, `${name}=`, `-${flag.name}=`];
    return `    ${[...new Set(forms)].join("|")}) ${bashAction(flag)}return ;;`;
  });
  const words = beginnings(commands).map((before) => {
    const next = nextWords(commands, before).map(({ word }) => word).join(" ");
    return `    ${quoteShell(before.join(" "))}) next=${quoteShell(next)} ;;`;
  });
  const flagLists = [{ name: "", flags }, ...commands].map((command) =>
    `    ${quoteShell(command.name)}) flags=${
      quoteShell(offered(command.flags).map(dashedWithEquals).join(" "))
    } ;;`
  );
  return `# bash completion for ${program}
_${program}() {
  local current="\${COMP_WORDS[COMP_CWORD]}"
  local previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local flag="" command="" next="" flags="" word index
  # Bash splits words at "=" unless it was told otherwise.
  if [[ $current == -*=* ]]; then
    flag="\${current%%=*}=" current="\${current#*=}"
  elif [[ $current == "=" ]]; then
    flag="$previous=" current=""
  elif [[ $previous == "=" ]] && ((COMP_CWORD > 1)); then
    flag="\${COMP_WORDS[COMP_CWORD-2]}="
  else
    flag=$previous
  fi
  COMPREPLY=()
  case $flag in
${values.join("\n")}
  esac
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    [[ $word == [-=]* || "\${COMP_WORDS[index-1]}" == "=" ]] && break
    command="\${command:+$command }$word"
  done
  case $command in
${words.join("\n")}
  esac
  case $command in
${flagLists.join("\n")}
  esac
  if [[ $current == -* || -z $next ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
    [[ \${COMPREPLY[0]} == *= ]] && compopt -o nospace
  else
    COMPREPLY=($(compgen -W "$next" -- "$current"))
  fi
}
complete -F _${program} ${program}
`;
}

function bashAction(flag: FlagSpec): string {
  const value = valueKind(flag);
  switch (value.kind) {
    case "words":
      return `COMPREPLY=($(compgen -W ${
        quoteShell(value.words.join(" "))
      } -- "$current")); `;
    case "file":
      return 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$current")); ';
    case "directory":
      return 'compopt -o filenames; COMPREPLY=($(compgen -d -- "$current")); ';
    case "interface":
      return 'COMPREPLY=($(compgen -W "$(ls /sys/class/net)" -- "$current")); ';
    case "other":
      return "";
  }
}
