/**
 * Words of commands that people are told to type.
 *
 * @module
 */

/**
 * A word for a POSIX shell. A name that others choose, such as that of a
 * container's device, may be `x;reboot`.
 */
export function shellWord(word: string): string {
  return /^[A-Za-z0-9_.,:\/@%+-]+$/.test(word)
    ? word
    : `'${word.replaceAll("'", `'\\''`)}'`;
}
