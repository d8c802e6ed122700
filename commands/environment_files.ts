/**
 * The environment files of `loden.service`.
 *
 * @module
 */

/** In the unit's order: the last one wins. */
export const ENVIRONMENT_FILES: readonly string[] = [
  "/run/flannel/options.env",
  "/etc/loden/options.env",
  "/etc/default/loden",
];

const QUOTED = `'[^']*'|"(?:[^"\\\\]|\\\\[^])*"`;
const ASSIGNMENT = new RegExp(
  String.raw`^[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*=` +
    String.raw`((?:[ \t]*(?:${QUOTED}))*)[ \t]*((?:[^\n\r\\]|\\[^])*)`,
  "gm",
);

/**
 * The variables as systemd reads them (systemd.exec(5), `EnvironmentFile=`).
 * Unlike in a shell, what looks like a comment behind a value belongs to it, and a
 * backslash without quotes is removed.
 */
export function parseEnvironmentFile(text: string): Map<string, string> {
  const variables = new Map<string, string>();
  for (const [, name, quoted, plain] of text.matchAll(ASSIGNMENT)) {
    const words = quoted!.match(new RegExp(QUOTED, "g")) ?? [];
    variables.set(name!, words.map(unquote).join("") + unescapePlain(plain!));
  }
  return variables;
}

function unquote(word: string): string {
  const inside = word.slice(1, -1);
  return word.startsWith("'")
    ? inside
    : inside.replace(/\\(?:(["\\`$])|\n)/g, "$1");
}

/** A line that ends with a backslash continues. */
function unescapePlain(text: string): string {
  return text.trimEnd().replace(/\\(?:\r?\n|([^]))/g, "$1");
}
