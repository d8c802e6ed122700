/**
 * `loden completion bash|zsh|fish`, from the flag tables.
 *
 * @module
 */

import { bashScript } from "./completion_bash.ts";
import { fishScript } from "./completion_fish.ts";
import type { CompletionInput } from "./completion_model.ts";
import { zshScript } from "./completion_zsh.ts";

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** A shell that a script can be made for. */
export type CompletionShell = keyof typeof SCRIPTS;

/** Every {@linkcode CompletionShell}. */
export const COMPLETION_SHELLS = Object.keys(SCRIPTS) as CompletionShell[];

/** The script, to be sourced or put where the shell looks for it. */
export function renderCompletion(
  shell: CompletionShell,
  input: CompletionInput,
): string {
  return SCRIPTS[shell](input);
}
