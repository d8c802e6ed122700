/**
 * The words of a command in the network config, as flannel since v0.28.2 makes
 * them: no shell, so quotes, `;`, `|` and `&&` are ordinary characters.
 *
 * @module
 */

/** Go's `unicode.IsSpace`. */
const SPACE = /\p{White_Space}+/u;

/**
 * Go's `os.Expand`: `$NAME`, `${NAME}`, and one of the shell's special characters.
 * A brace that is not closed is left out, a `$` before anything else stays.
 */
const REFERENCE =
  /\$(?:\{([^}]*)\}|\{|([*#$@!?\-0-9]|[A-Za-z_][A-Za-z0-9_]*))/g;

/**
 * Splits at white space, then replaces variables in each word; an unknown one is
 * the empty text, and its word stays.
 *
 * @example
 * ```ts
 * import { commandWords } from "./command_words.ts";
 * commandWords("add ${SUBNET} $NONE", { SUBNET: "10.1.5.0/24" });
 * // ["add", "10.1.5.0/24", ""]
 * ```
 */
export function commandWords(
  command: string,
  variables: Readonly<Record<string, string>>,
): string[] {
  return command.split(SPACE).filter((word) => word !== "").map((word) =>
    word.replace(REFERENCE, (_all, braced?: string, plain?: string) => {
      const name = braced ?? plain ?? "";
      return Object.hasOwn(variables, name) ? variables[name]! : "";
    })
  );
}
