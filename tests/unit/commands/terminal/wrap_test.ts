import { assert, assertEquals } from "@std/assert";
import { explainedNames, wrap } from "../../../../commands/terminal/wrap.ts";

Deno.test("text breaks at spaces, and a longer word stays whole", () => {
  assertEquals(wrap("one two three", 2, 8), ["one two", "  three"]);
  assertEquals(wrap("a /a/very/long/path b", 2, 8), [
    "a",
    "  /a/very/long/path",
    "  b",
  ]);
  assertEquals(wrap("    indented text", 4, 12), ["    indented", "    text"]);
});

Deno.test("names and explanations are two columns, or on a narrow terminal below each other", () => {
  const rows = [["status", "show the state of the running agent"]] as const;
  assertEquals(explainedNames(rows, 80), [
    "  status  show the state of the running agent",
  ]);
  assertEquals(explainedNames(rows, 42), [
    "  status  show the state of the running",
    "          agent",
  ]);
  const narrow = explainedNames(rows, 36);
  assertEquals(narrow, [
    "  status",
    "      show the state of the running",
    "      agent",
  ]);
  assert(narrow.every((line) => line.length <= 36));
});
