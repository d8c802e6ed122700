/**
 * Text that others have written, such as what etcd holds, for a terminal.
 *
 * @module
 */

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f-\x9f]/g;

/** A line in which nothing moves the cursor, colours or answers: `?` instead. */
export function withoutControls(line: string): string {
  return line.replaceAll(CONTROL, "?");
}
