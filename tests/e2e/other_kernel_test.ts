/**
 * The kernel data path on an older kernel, in a virtual machine; `deno task
 * test:kernels` tries the others. No agent runs: an emulated processor beside
 * other tests is too slow for two of them and etcd.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { attempt } from "../../tools/command.ts";

const FILES = [
  "tests/contract/kernel_features_test.ts",
  "tests/contract/packet_fates_programs_test.ts",
  // Packets through a pair of devices with four queues.
  "tests/contract/flow_queues_test.ts",
];

Deno.test("on Linux 6.1 the kernel data path has what it needs, judges packets as here and carries them", async () => {
  const { exitCode, stderr, stdout } = await attempt([
    ...[Deno.execPath(), "run", "-A", "tests/kernels/main.ts", "6.1"],
    ...FILES,
  ]);
  assertEquals(exitCode, 0, stdout + stderr);
  assertMatch(stdout, /^[1-9]\d* passed, 0 failed$/m);
});
