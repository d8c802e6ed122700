/**
 * Lines for a terminal: wrapped to its width, with colours, and without anything
 * that could control it.
 *
 * @module
 */

import { bold, dim, red, yellow } from "@std/fmt/colors";
import type { Terminal } from "../command.ts";
import { withoutControls } from "./controls.ts";
import { wrap } from "./wrap.ts";

const PAINTS = { bold, dim, red, yellow };

/** A line as it is meant; on a terminal it may become several. */
export interface Line {
  readonly text: string;
  /** How far the lines that continue it are indented. */
  readonly indent: number;
  readonly paint?: keyof typeof PAINTS;
}

export function plain(text: string): Line {
  return { text, indent: 2 };
}

/** Without a terminal, each line is one line and has no colour. */
export function renderLines(
  lines: readonly Line[],
  terminal: Terminal | undefined,
): string {
  return lines.flatMap(({ indent, paint, text }) => {
    // Some texts come from etcd.
    const safe = withoutControls(text);
    if (terminal === undefined) return [safe];
    const wrapped = wrap(safe, indent, terminal.columns);
    return terminal.colors && paint !== undefined
      ? wrapped.map(PAINTS[paint])
      : wrapped;
  }).map((line) => `${line}\n`).join("");
}
