/**
 * `deno task demo`, the first thing that people run.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { namespaceNames, temporaryDirectory } from "../rig/teardown.ts";

const DEMO = fromFileUrl(new URL("../../tools/demo.ts", import.meta.url));

interface DemoRun {
  readonly code: number;
  readonly output: string;
  /** Namespaces and files of it that are still there. */
  readonly left: readonly string[];
}

/** Runs it; sends the signals, 300 ms apart, when the output matches `when`. */
async function demo(
  args: readonly string[],
  when?: RegExp,
  signals: readonly Deno.Signal[] = [],
): Promise<DemoRun> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", DEMO, ...args],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  let signalled = false;
  const errors = new Response(child.stderr).text();
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += text;
    if (signalled || !when?.test(output)) continue;
    signalled = true;
    for (const [index, signal] of signals.entries()) {
      setTimeout(() => kill(child, signal), index * 300);
    }
  }
  const { code } = await child.status;
  const own = new RegExp(`^loden-${child.pid}-`);
  const files = [...Deno.readDirSync(temporaryDirectory())].map((entry) =>
    entry.name
  );
  return {
    code,
    output: output + await errors,
    left: [
      ...namespaceNames((name) => own.test(name)),
      ...files.filter((name) => own.test(name)),
    ],
  };
}

function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    // It had nothing more to put away.
    if (!(error instanceof TypeError)) throw error;
  }
}

Deno.test("the demonstration shows both hosts, ends with the table and leaves nothing", async () => {
  const { code, left, output } = await demo([]);
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

for (
  const [what, when, signals, expected] of [
    ["Ctrl-C while etcd starts", /etcd …/, ["SIGINT"], 130],
    ["Ctrl-C while agents start", /agent on each/, ["SIGINT"], 130],
    ["Ctrl-C twice", /agent on each/, ["SIGINT", "SIGINT"], 130],
    ["SIGTERM during the TCP stream", /udp: TCP/, ["SIGTERM"], 143],
  ] as const
) {
  Deno.test(`${what}: the demonstration leaves nothing, and its exit code tells`, async () => {
    const { code, left, output } = await demo([], when, signals);
    assertEquals(code, expected, output);
    assertEquals(left, []);
  });
}

Deno.test("the demonstration refuses what it does not know", async () => {
  const { code, output } = await demo(["--kepe"]);
  assertEquals(code, 2);
  assert(output.includes("--kepe") && output.includes("Usage:"));
});
