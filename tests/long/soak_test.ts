/**
 * `deno task soak` for a few minutes.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { attempt } from "../../tools/command.ts";

const SOAK = fromFileUrl(new URL("../../tools/soak/main.ts", import.meta.url));

Deno.test("four hosts lose nothing and use no more after five minutes of faults at random", async () => {
  const { exitCode, stderr, stdout } = await attempt(
    [Deno.execPath(), "run", "-A", SOAK, "--minutes=5"],
  );
  assertEquals(exitCode, 0, stdout + stderr);
});
