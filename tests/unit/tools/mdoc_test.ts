import { assertEquals } from "@std/assert";
import { macroWords, textLines } from "../../../tools/docs/mdoc.ts";

Deno.test("each sentence begins a line, and lines are wrapped", () => {
  assertEquals(textLines("One. Two i.e. three."), ["One.", "Two i.e. three."]);
  const lines = textLines("word ".repeat(40).trim());
  assertEquals(lines.every((line) => line.length <= 78), true);
  assertEquals(lines.join(" "), "word ".repeat(40).trim());
});

Deno.test("text that would be a request is plain", () => {
  assertEquals(textLines(".Sh it"), ["\\&.Sh it"]);
  assertEquals(textLines("'quoted'"), ["\\&'quoted'"]);
  assertEquals(textLines("a\\b"), ["a\\eb"]);
});

Deno.test("a flag keeps its dashes, a compound word its hyphen", () => {
  assertEquals(textLines("see --ip-masq, -v, two-way"), [
    "see \\-\\-ip\\-masq, \\-v, two-way",
  ]);
});

Deno.test("an argument that is the name of a macro is plain", () => {
  assertEquals(macroWords("No Ar x"), "\\&No \\&Ar x");
  assertEquals(macroWords("| word [--json]"), "\\&| word [\\-\\-json]\\&");
  assertEquals(macroWords('say "x"'), "say \\(dqx\\(dq");
});
