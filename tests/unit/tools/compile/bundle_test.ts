import { assertEquals } from "@std/assert";
import { renamedErrors } from "../../../../tools/compile/bundle.ts";

const SOURCES = [
  { path: "a.ts", text: "export class FirstError extends LodenError {\n}\n" },
  { path: "b.ts", text: "class SecondError extends Error {}\n" },
];

Deno.test("errors that keep their names in the bundle are none to speak of", () => {
  assertEquals(
    renamedErrors(
      SOURCES,
      "var FirstError = class extends LodenError {};\n" +
        "class SecondError extends Error {}\n",
    ),
    [],
  );
});

Deno.test("an error whose name got a number or a dash in the bundle is told", () => {
  assertEquals(
    renamedErrors(
      SOURCES,
      "var FirstError = class _FirstError extends LodenError {};\n" +
        "var SecondError2 = class extends Error {};\n",
    ),
    ["FirstError", "SecondError"],
  );
});
