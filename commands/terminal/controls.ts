/**
 * Untrusted text, such as values from etcd, for a terminal.
 *
 * @module
 */

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f-\x9f]/g;

/**
 * A line without control characters, which could move the cursor, set colours
 * or trigger answers; each becomes `?`.
 */
export function withoutControls(line: string): string {
  return line.replaceAll(CONTROL, "?");
}
