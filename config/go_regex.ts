/**
 * Patterns in Go's syntax (RE2), as `--iface-regex` takes them.
 *
 * @module
 */

/** POSIX classes, ASCII as in RE2, as the inside of a bracket expression. */
const POSIX_CLASSES: Readonly<Record<string, string>> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  digit: "0-9",
  lower: "a-z",
  punct: "!-\\/:-@\\[-`{-~",
  space: "\\t\\n\\v\\f\\r ",
  upper: "A-Z",
  word: "0-9A-Za-z_",
  xdigit: "0-9A-Fa-f",
};

/** Must stay escaped in a JavaScript pattern with the `u` flag. */
const SYNTAX_CHARACTER = /[\^$\\.*+?()[\]{}|/]/;

/**
 * The JavaScript pattern with the same meaning: leading flags (`(?i)`),
 * `(?P<name>…)`, `\A` and `\z`, POSIX classes and escaped punctuation are
 * rewritten, the rest is the same in both. A pattern that JavaScript would
 * interpret differently does not compile with the `u` flag, so it is refused
 * and never misread.
 *
 * @throws {SyntaxError} when the pattern cannot be used, with the reason.
 */
export function translateGoRegex(pattern: string): string {
  const leading = /^\(\?([ims]+)\)/.exec(pattern);
  const body = translateBody(pattern.slice(leading?.[0].length ?? 0));
  const source = leading === null ? body : `(?${leading[1]}:${body})`;
  new RegExp(source, "u");
  return source;
}

function translateBody(pattern: string): string {
  let result = "";
  let inClass = false;
  for (let index = 0; index < pattern.length;) {
    const rest = pattern.slice(index);
    const posix = inClass ? /^\[:([a-z]+):\]/.exec(rest) : null;
    const [token, replacement] = rest.startsWith("\\") && rest.length > 1
      ? [rest.slice(0, 2), translateEscape(rest[1]!, inClass)]
      : posix !== null && Object.hasOwn(POSIX_CLASSES, posix[1]!)
      ? [posix[0], POSIX_CLASSES[posix[1]!]!]
      : !inClass && rest.startsWith("(?P<")
      ? ["(?P<", "(?<"]
      : [rest[0]!, rest[0]!];
    if (token === "[") inClass = true;
    if (token === "]") inClass = false;
    result += replacement;
    index += token.length;
  }
  return result;
}

function translateEscape(character: string, inClass: boolean): string {
  if (!inClass && character === "A") return "(?<![^])";
  if (!inClass && character === "z") return "(?![^])";
  const keep = /[0-9A-Za-z]/.test(character) ||
    SYNTAX_CHARACTER.test(character) || (inClass && character === "-");
  return keep ? `\\${character}` : character;
}
