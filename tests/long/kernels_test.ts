/**
 * `deno task test:kernels --hosts` on all kernels and cards.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { attempt } from "../../tools/command.ts";

const MOST_MS = 30 * 60_000;

Deno.test("two hosts with each kernel and each card exchange packets in each receive mode", async () => {
  const { exitCode, stderr, stdout } = await attempt(
    [Deno.execPath(), "run", "-A", "tests/kernels/main.ts", "--hosts"],
    { signal: AbortSignal.timeout(MOST_MS) },
  );
  assertEquals(exitCode, 0, stdout + stderr);
  assertMatch(stdout, /^[1-9]\d* passed, 0 failed$/m);
});
