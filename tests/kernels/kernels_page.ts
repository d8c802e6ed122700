/**
 * `docs/kernels.md`: the tables in it come from runs.
 *
 * @module
 */

import { replaceParts } from "../../tools/docs/document_parts.ts";
import { markdownTable } from "../../tools/docs/markdown_table.ts";
import { CARDS } from "./cards.ts";
import { KERNELS } from "./kernels.ts";
import { MODES } from "./modes.ts";
import {
  cellsOf,
  HEAD,
  type KernelRow,
  KEY_COLUMNS,
  startedWith,
} from "./rows.ts";

/** The columns of the table of kernels. */
export const KERNEL_HEAD: readonly string[] = ["kernel", "release", "run on"];

/** A kernel that ran. */
export interface RanKernel {
  readonly name: string;
  readonly release: string;
  /** `2026-11-29`. */
  readonly date: string;
}

/**
 * The page with the outcome of a run. The rows of kernels, cards and modes that
 * did not run stay as they are.
 */
export function updatePage(
  page: string,
  kernels: readonly RanKernel[],
  rows: readonly KernelRow[],
): string {
  return replaceParts(page, {
    kernels: mergedTable(
      page,
      "kernels",
      KERNEL_HEAD,
      kernels.map(({ date, name, release }) => [name, release, date]),
      1,
    ),
    hosts: mergedTable(page, "hosts", HEAD, rows.map(cellsOf), KEY_COLUMNS),
  });
}

/** The order of kernels, cards and modes in this directory's lists. */
const ORDER: readonly (readonly string[])[] = [
  KERNELS.map(({ name }) => name),
  Object.keys(CARDS),
  MODES.map(startedWith),
];

function mergedTable(
  page: string,
  part: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
  keyColumns: number,
): string {
  const key = (row: readonly string[]) => row.slice(0, keyColumns).join("|");
  const ran = new Set(rows.map(key));
  const kept = rowsOfPart(page, part).filter((row) => !ran.has(key(row)));
  const rank = (row: readonly string[]) =>
    row.slice(0, keyColumns).map((word, column) =>
      String(ORDER[column]!.indexOf(word)).padStart(4)
    ).join();
  const all = [...kept, ...rows].sort((left, right) =>
    rank(left).localeCompare(rank(right))
  );
  return markdownTable(head, all);
}

/** The cells of a part's table, without its head. */
export function rowsOfPart(page: string, part: string): string[][] {
  const [, rest = ""] = page.split(`<!-- generated: ${part} -->\n`);
  return rest.split("<!-- end of")[0]!.split("\n")
    .filter((line) => line.startsWith("|")).slice(2)
    .map((line) =>
      line.split(/(?<!\\)\|/).slice(1, -1)
        .map((cell) => cell.trim().replaceAll("\\|", "|"))
    );
}
