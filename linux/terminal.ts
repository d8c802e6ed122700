/**
 * What the environment says about terminals.
 *
 * @module
 */

/** A terminal without a cursor and colours, such as the shell of an editor. */
export function isDumbTerminal(): boolean {
  return Deno.env.get("TERM") === "dumb";
}

/** Whether a terminal may be given colours: https://no-color.org. */
export function mayHaveColors(): boolean {
  return !Deno.noColor && !isDumbTerminal();
}
