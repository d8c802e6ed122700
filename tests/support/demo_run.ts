/**
 * `deno task demo`, run to its end or to a signal.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import { namespaceNames, temporaryDirectory } from "../rig/teardown.ts";

const DEMO = fromFileUrl(new URL("../../tools/demo.ts", import.meta.url));

/** How it ended. */
export interface DemoRun {
  readonly code: number;
  readonly output: string;
  /** Namespaces and files of it that are still there. */
  readonly left: readonly string[];
}

/** Runs it; sends the signals, 300 ms apart, when the output matches `when`. */
export async function runDemo(
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
