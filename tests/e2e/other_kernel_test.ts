/**
 * The oldest kernel that Debian has and the kernel data path takes, in a virtual
 * machine; `deno task test:kernels` tries the others.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { attempt } from "../../tools/command.ts";

const SCRIPT = `set -e
export DENO_NO_UPDATE_CHECK=1 NO_COLOR=1
deno test -A --cached-only --no-check tests/contract/packet_fates_programs_test.ts
deno run -A --cached-only --no-check tools/demo.ts`;

Deno.test("on Linux 6.1 the programs judge packets as here, and the demonstration carries packets by them", async () => {
  const { exitCode, stderr, stdout } = await attempt([
    ...[Deno.execPath(), "run", "-A", "tests/kernels/main.ts", "6.1"],
    `--run=${SCRIPT}`,
  ]);
  assertEquals(exitCode, 0, stdout + stderr);
  assertMatch(stdout, /ok \| \d{2,} passed \| 0 failed/);
  assertEquals(stdout.match(/: \d+ packets by .*\(ebpf\)/g)?.length, 2, stdout);
});
