/**
 * The tests of the tests.
 *
 * @module
 */

import { assertEquals } from "@std/assert";

Deno.test("the tests notice every fault of tests/mutants", async () => {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "tests/mutants/main.ts"],
    stdout: "piped",
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stdout));
});
