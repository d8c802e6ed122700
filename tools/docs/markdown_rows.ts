/**
 * Reading the tables that people write in `docs/`, for what is made from them.
 *
 * @module
 */

/**
 * The cells of the table under a heading, as plain text: one array a row, the
 * heading row left out.
 *
 * @throws {Error} when there is no such heading, or no table under it.
 */
export function rowsUnder(document: string, heading: string): string[][] {
  const [, rest] = document.split(`\n## ${heading}\n`);
  const part = rest?.split("\n## ")[0] ?? "";
  const rows = part.split("\n").filter((line) => line.startsWith("|"))
    .slice(2)
    .map((line) =>
      line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => plainText(cell.trim()))
    );
  if (rows.length === 0) throw new Error(`there is no table under ${heading}`);
  return rows;
}

/** Without the marks of links, code and emphasis. */
export function plainText(markdown: string): string {
  return markdown.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll(/\*\*([^*]*)\*\*/g, "$1")
    .replaceAll("`", "")
    .replaceAll("\\|", "|");
}
