/**
 * `loden completion`.
 *
 * @module
 */

import { exitCodes } from "../../agent/exit_codes.ts";
import { UsageError } from "../../config/errors.ts";
import { AGENT_FLAGS } from "../../config/flags.ts";
import type { CommandContext } from "../command.ts";
import { readCommandLine } from "../command_line.ts";
import { bashScript } from "./completion_bash.ts";
import { fishScript } from "./completion_fish.ts";
import type { CompletionInput } from "./completion_model.ts";
import { zshScript } from "./completion_zsh.ts";

/** Prints the script for the named shell. */
export function run(io: CommandContext): number {
  const line = readCommandLine(io);
  if (line === undefined) return exitCodes.ok;
  const [word, ...rest] = line.words;
  const shell = COMPLETION_SHELLS.find((name) => name === word);
  if (shell === undefined || rest.length > 0) {
    const current = line.words.length === 0 ? "nothing" : line.words.join(" ");
    throw new UsageError(
      "usage.shell",
      `Cannot print a completion script: the shell must be one of ` +
        `${COMPLETION_SHELLS.join(", ")}: current value is ${current}`,
      { hint: "for example: source <(loden completion bash)" },
    );
  }
  const program = "loden";
  io.stdout(
    renderCompletion(shell, {
      program,
      flags: AGENT_FLAGS,
      commands: io.table,
    }),
  );
  return exitCodes.ok;
}

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** A shell with completion. */
export type CompletionShell = keyof typeof SCRIPTS;

/** Every {@linkcode CompletionShell}. */
export const COMPLETION_SHELLS = Object.keys(SCRIPTS) as CompletionShell[];

/** The script, to be sourced or installed where the shell looks for it. */
export function renderCompletion(
  shell: CompletionShell,
  input: CompletionInput,
): string {
  return SCRIPTS[shell](input);
}
