import { assertEquals, assertThrows } from "@std/assert";
import { plainText, rowsUnder } from "../../../tools/docs/markdown_rows.ts";

const DOCUMENT = `# Top

## One

| a   | b          |
| --- | ---------- |
| 1   | \`x\\|y\` |

## Two

No table here.
`;

Deno.test("a table is found under its heading, and nowhere else", () => {
  assertEquals(rowsUnder(DOCUMENT, "One"), [["1", "x|y"]]);
  assertThrows(() => rowsUnder(DOCUMENT, "Two"), Error, "Two");
  assertThrows(() => rowsUnder(DOCUMENT, "Three"), Error, "Three");
});

Deno.test("links, code and emphasis become their text", () => {
  assertEquals(
    plainText("**see** [`a`](b.md#c) and `d`"),
    "see a and d",
  );
});
