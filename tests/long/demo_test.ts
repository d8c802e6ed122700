/**
 * `deno task demo`, interrupted.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { runDemo } from "../support/demo_run.ts";

for (
  const [what, when, signals, expected] of [
    ["Ctrl-C while etcd starts", /etcd …/, ["SIGINT"], 130],
    ["Ctrl-C while agents start", /agent on each/, ["SIGINT"], 130],
    ["Ctrl-C twice", /agent on each/, ["SIGINT", "SIGINT"], 130],
    ["SIGTERM during the TCP stream", /udp: TCP/, ["SIGTERM"], 143],
  ] as const
) {
  Deno.test(`${what}: the demonstration leaves nothing, and its exit code tells`, async () => {
    const { code, left, output } = await runDemo([], when, signals);
    assertEquals(code, expected, output);
    assertEquals(left, []);
  });
}
