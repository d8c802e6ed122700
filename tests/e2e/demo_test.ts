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

Deno.test("the demonstration shows another backend", async () => {
  const { code, left, output } = await runDemo(["--backend=host-gw"]);
  assertEquals(code, 0, output);
  assertMatch(output, /Loden, host-gw +\d+\.\d\d Gbit\/s +\d+ us/);
  assertEquals(output.match(/: by kernel routes$/gm)?.length, 2, output);
  assertEquals(left, []);
});

Deno.test("the demonstration refuses what it does not know", async () => {
  for (const option of ["--kepe", "--backend=alloc", "--backend"]) {
    const { code, output } = await runDemo([option]);
    assertEquals(code, 2);
    assert(output.includes(option.split("=")[0]!), output);
    assert(output.includes("Usage:"), output);
  }
});
