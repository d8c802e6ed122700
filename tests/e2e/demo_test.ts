/**
 * `deno task demo`, the first thing that people run.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { runDemo } from "../support/demo_run.ts";

Deno.test("the demonstration shows both hosts, ends with the table and leaves nothing", async () => {
  const { code, left, output } = await runDemo([]);
  assertEquals(code, 0, output);
  assertEquals(output.match(/FLANNEL_SUBNET=10\.1\.\d+\.1\/24/g)?.length, 2);
  assertEquals(output.match(/--bip=10\.1\.\d+\.1\/24/g)?.length! >= 2, true);
  assertMatch(output, /Loden, udp +\d+\.\d\d Gbit\/s +\d+ us/);
  assertEquals(
    output.match(/: \d+ packets by .*\((ebpf|tun)\)/g)?.length,
    2,
    output,
  );
  assertMatch(output, /kernel VXLAN +\d+\.\d\d Gbit\/s +\d+ us/);
  assertEquals(left, []);
});

Deno.test("the demonstration refuses what it does not know", async () => {
  const { code, output } = await runDemo(["--kepe"]);
  assertEquals(code, 2);
  assert(output.includes("--kepe") && output.includes("Usage:"));
});
