/**
 * Untrusted text, such as values from etcd, for a terminal.
 *
 * @module
 */

import { UNSAFE_CHARACTERS } from "../../linux/terminal.ts";

/**
 * A line without characters that could move the cursor, set colours, trigger
 * answers or turn the writing direction; each becomes `?`.
 */
export function withoutControls(line: string): string {
  return line.replaceAll(UNSAFE_CHARACTERS, "?");
}
