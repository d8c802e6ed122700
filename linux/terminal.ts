/**
 * What the environment says about terminals.
 *
 * @module
 */

/** A terminal without a cursor and colours, such as the shell of an editor. */
export function isDumbTerminal(): boolean {
  return Deno.env.get("TERM") === "dumb";
}

/**
 * Characters that would break a line (control characters, U+2028, U+2029) or
 * make a terminal show other text than is there (writing direction).
 */
export const UNSAFE_CHARACTERS: RegExp =
  /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Whether a terminal may be given colours: https://no-color.org. */
export function mayHaveColors(): boolean {
  return !Deno.noColor && !isDumbTerminal();
}
