/**
 * Tables in Markdown.
 *
 * @module
 */

/** A table whose columns are padded as `deno fmt` does. Lines are ended by LF. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const cells = [head, ...rows].map((row) =>
    row.map((cell) => cell.replaceAll("|", "\\|"))
  );
  const widths = head.map((_, column) =>
    Math.max(3, ...cells.map((row) => row[column]!.length))
  );
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |\n`;
  const rule = line(widths.map((width) => "-".repeat(width)));
  return line(cells[0]!) + rule + cells.slice(1).map(line).join("");
}

/** Text in the type of a program. */
export function code(text: string): string {
  return `\`${text}\``;
}
