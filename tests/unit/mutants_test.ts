import { assertEquals } from "@std/assert";
import { MUTANTS } from "../mutants/mutants.ts";

Deno.test("each mutant has its place in the sources once, and tests that are there", () => {
  for (const { change, fault, file, tests, text } of MUTANTS) {
    const parts = Deno.readTextFileSync(file).split(text);
    assertEquals(parts.length, 2, `${file}: ${fault}`);
    assertEquals(text === change, false, fault);
    for (const test of tests) assertEquals(Deno.statSync(test).isFile, true);
  }
});
