/**
 * Finds the line of a key in a YAML text, for messages; the parser does not
 * keep positions.
 *
 * @module
 */

/** A step down: a key of a mapping, or an item of a list, from 0. */
export type YamlStep = string | number;

interface Node {
  readonly indent: number;
  readonly step: YamlStep;
  readonly line: number;
}

/**
 * The line, from 1, of the node at `path`; of the nearest node above it if the
 * node has no line of its own, as in `[a, b]`.
 */
export function lineOf(text: string, path: readonly YamlStep[]): number {
  let open: Node[] = [];
  let best = { depth: 0, line: 1 };
  let literalIndent: number | undefined;
  for (const [index, raw] of text.split("\n").entries()) {
    if (/^\s*(#|$)/.test(raw)) continue;
    let indent = raw.search(/\S/);
    // The lines of a block literal may look like keys.
    if (literalIndent !== undefined && indent > literalIndent) continue;
    literalIndent = undefined;
    let rest = raw.slice(indent);
    const line = index + 1;
    while (/^-(\s|$)/.test(rest)) {
      const before = lastAt(open, indent);
      const number = typeof before?.step === "number" ? before.step + 1 : 0;
      // A list may begin at its key's own column.
      open = open.filter((node) =>
        node.indent < indent ||
        (node.indent === indent && typeof node.step === "string")
      );
      open.push({ indent, step: number, line });
      best = better(best, open, path);
      const skipped = rest.slice(1).search(/\S/) + 1;
      if (skipped === 0) {
        rest = "";
        break;
      }
      indent += skipped;
      rest = rest.slice(skipped);
    }
    const key = /^(?:"([^"]*)"|'([^']*)'|([^\s:#][^:]*?))\s*:(?:\s|$)/.exec(
      rest,
    );
    if (key === null) continue;
    open = open.filter((node) => node.indent < indent);
    open.push({ indent, step: key[1] ?? key[2] ?? key[3]!, line });
    best = better(best, open, path);
    if (/[|>][-+0-9]*\s*(#.*)?$/.test(rest)) literalIndent = indent;
  }
  return best.line;
}

function lastAt(open: readonly Node[], indent: number): Node | undefined {
  return open.findLast((node) =>
    node.indent === indent && typeof node.step === "number"
  );
}

function better(
  best: { depth: number; line: number },
  open: readonly Node[],
  path: readonly YamlStep[],
): { depth: number; line: number } {
  const fits = open.length <= path.length &&
    open.every(({ step }, depth) => step === path[depth]);
  return fits && open.length > best.depth
    ? { depth: open.length, line: open.at(-1)!.line }
    : best;
}
