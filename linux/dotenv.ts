/**
 * Files of `NAME=value` lines.
 *
 * @module
 */

const ASSIGNMENT =
  /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*[=:]\s*(.*?)\s*$/;

/**
 * The variables of an environment file, as flannel's dotenv reader and a shell
 * both understand it: `NAME=value`, `export NAME=value`, single and double
 * quotes, `#` comments; the last of equal names wins. Nothing is expanded, and
 * a line that is not an assignment is skipped.
 */
export function parseDotenv(text: string): Map<string, string> {
  const variables = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const match = ASSIGNMENT.exec(line);
    if (match) variables.set(match[1]!, unquote(match[2]!));
  }
  return variables;
}

function unquote(value: string): string {
  const single = /^'([^']*)'/.exec(value);
  if (single) return single[1]!;
  const double = /^"((?:[^"\\]|\\.)*)"/.exec(value);
  if (double) return double[1]!.replace(/\\(["\\$`])/g, "$1");
  return value.replace(/(^|\s+)#.*$/, "");
}
