/**
 * Breaks text into the lines of a terminal.
 *
 * @module
 */

/**
 * Breaks at spaces; a longer word stays whole, so that it can be copied.
 *
 * @param text begins with the spaces of its first line.
 * @param indent spaces in front of the lines that continue it.
 */
export function wrap(text: string, indent: number, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/(?<=\S)(?=\s)/)) {
    const isFull = (line + word).length > columns && line.trim() !== "";
    if (isFull) lines.push(line);
    line = isFull ? " ".repeat(indent) + word.trimStart() : line + word;
  }
  return [...lines, line];
}

const MARGIN = 2;
/** A column that is narrower is hard to read. */
const LEAST_COLUMNS = 30;
/** Of an explanation below its name. */
const BELOW = 6;

/**
 * Names with an explanation each: in two columns, or on a narrow terminal with
 * the explanation below the name.
 */
export function explainedNames(
  rows: readonly (readonly [name: string, explanation: string])[],
  columns: number,
): string[] {
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  const indent = MARGIN + width + 2;
  const margin = " ".repeat(MARGIN);
  return rows.flatMap(([name, explanation]) =>
    columns - indent >= LEAST_COLUMNS
      ? wrap(
        `${margin}${name.padEnd(width)}  ${explanation}`,
        indent,
        columns,
      )
      : [
        `${margin}${name}`,
        ...wrap(" ".repeat(BELOW) + explanation, BELOW, columns),
      ]
  );
}
