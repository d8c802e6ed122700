/**
 * What a command does if its output cannot be written.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { attempt } from "../../tools/command.ts";
import { lodenCommand } from "../rig/loden_program.ts";

function lodenInto(target: string, ...args: string[]) {
  const script = `set -o pipefail; "$@" ${target}`;
  return attempt(["bash", "-c", script, "bash", ...lodenCommand(), ...args]);
}

Deno.test("a full disk behind the output is an error with its cause, and no defect", async () => {
  const { exitCode, stderr } = await lodenInto(">/dev/full", "config", "show");
  assertEquals(exitCode, 1);
  assertMatch(
    stderr,
    /^loden: Cannot write the standard output: No space left .*\n$/m,
  );
  assertEquals(stderr.includes("    at "), false);
});

Deno.test("a reader that has gone away is no failure", async () => {
  const { exitCode, stderr } = await lodenInto("| true", "config", "show");
  assertEquals(exitCode, 0);
  assertEquals(stderr.includes("loden:"), false);
});
