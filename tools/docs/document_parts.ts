/**
 * Generated parts inside a document that people write.
 *
 * @module
 */

/**
 * Replaces what stands between `<!-- generated: NAME -->` and
 * `<!-- end of NAME -->` for each part, and leaves the rest as it is.
 *
 * @throws {Error} when a part has no place, or a place no part.
 */
export function replaceParts(
  document: string,
  parts: Readonly<Record<string, string>>,
): string {
  const used = new Set<string>();
  const result = document.replaceAll(
    /(<!-- generated: (\S+) -->\n)[^]*?(<!-- end of \2 -->)/g,
    (_whole, start: string, name: string, end: string) => {
      const part = parts[name];
      if (part === undefined) throw new Error(`nothing makes the part ${name}`);
      used.add(name);
      return `${start}\n${part}\n${end}`;
    },
  );
  for (const name of Object.keys(parts)) {
    if (!used.has(name)) throw new Error(`the document lacks the part ${name}`);
  }
  return result;
}
