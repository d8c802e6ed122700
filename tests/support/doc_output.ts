/**
 * Outputs for documents: what differs from run to run is replaced.
 *
 * @module
 */

/** What stands for what, such as a test's directory for `/run/loden`. */
export type Replacements = readonly (readonly [found: string, shown: string])[];

const TIME = "2026-11-29T03:12:05.000Z";
const NEXT_DAY = "2026-11-30T03:12:05.000Z";

/** The output as it stands in a document. */
export function documentOutput(
  text: string,
  replacements: Replacements,
): string {
  const shown = new Map(replacements);
  // The longest first: a path may begin with another one. All in one go: what is
  // shown for one may be what is found for another.
  const found = [...shown.keys()].sort((a, b) => b.length - a.length)
    .map(RegExp.escape);
  const replaced = found.length === 0 ? text : text.replaceAll(
    new RegExp(found.join("|"), "g"),
    (each) => shown.get(each)!,
  );
  return replaced
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, TIME)
    .replaceAll(`expires ${TIME}`, `expires ${NEXT_DAY}`)
    // Of a temporary file.
    .replaceAll(/\.[0-9a-f]{16}\b/g, ".0123456789abcdef")
    .replaceAll(/\bprocess \d+/g, "process 812")
    .replaceAll(/\bfor \d+ s\b/g, "for 8 s")
    .replaceAll(/(?<=^agent +)\S+(?=,)/gm, "1.0.0")
    .replaceAll(/(?<=^peers \(\d+\):\n)(?: {2}.*\n)+/gm, peerRows)
    .replaceAll(/^counters \(\d+\):\n(?: {2}.*\n)*/gm, "counters …\n")
    // Which of them there are depends on the kernel.
    .replaceAll(/^ {11}\S.*\n/gm, "");
}

/** Rows of a table, with other times, in columns of their width. */
function peerRows(table: string): string {
  const rows = table.trimEnd().split("\n").map((row) =>
    row.trim().split(/ {2,}/).map((cell) =>
      cell.replace(/^\d+ (?:s|min)$/, "3 min")
        .replace(/^\d+ s ago$/, "4 s ago")
        .replace(/^\d+\.\d ms(?:, \d+ % lost)?/, "0.3 ms")
    )
  );
  const widths = rows[0]!.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  );
  return rows.map((row) =>
    `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ")}`
      .trimEnd() + "\n"
  ).join("");
}

/**
 * A block of a document: the command and its output, without what stands in front
 * of the first line that matches.
 */
export function consoleBlock(
  command: string,
  output: string,
  from?: RegExp,
): string {
  const lines = output.trimEnd().split("\n");
  const first = from === undefined
    ? 0
    : lines.findIndex((line) => from.test(line));
  if (first < 0) {
    throw new Error(`${command} has printed no line like ${from}:\n${output}`);
  }
  const shown = first === 0 ? lines : ["…", ...lines.slice(first)];
  return ["```console", `$ ${command}`, ...shown, "```", ""].join("\n");
}
