/**
 * Text for `mdoc(7)`: what would be a request or a macro is made plain.
 *
 * @module
 */

const WIDTH = 78;

/** Lines of running text; each sentence begins a line, as mandoc wants it. */
export function textLines(text: string): string[] {
  return text.split(/(?<=[.?!]) +(?=[A-Z])/).map(escapeText)
    .flatMap(wrap).map((line) => /^['.]/.test(line) ? `\\&${line}` : line);
}

/** Words as arguments of a macro: none of them is a macro of its own. */
export function macroWords(text: string): string {
  return text.split(" ").map((word) => {
    const before = /^([%A-Z][A-Za-z0-9]{1,2}|[(.,:;)[\]?!|])$/.test(word);
    const after = /[.,:;)\]?!]$/.test(word);
    return `${before ? "\\&" : ""}${escapeText(word)}${after ? "\\&" : ""}`;
  }).join(" ");
}

function wrap(sentence: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of sentence.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}

/** A "-" would come out as a hyphen, which no shell takes for a flag's. */
function escapeText(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll('"', "\\(dq")
    .replaceAll(/(?<!\w)-[-\w]+/g, (flag) => flag.replaceAll("-", "\\-"));
}
