/**
 * Tests that change the network run in a network namespace of their own.
 *
 * A thread cannot take the others of its process into another namespace, so the
 * test file runs itself again as a child that is there from its start. The
 * namespace has no name: it ends with the child, however the child ends.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import { setKernel } from "../rig/kernel_settings.ts";

/** In the child's environment: it is where the tests shall run. */
const INSIDE = "LODEN_TEST_IN_NAMESPACE";
/** Virtual machines without hardware help are slow. */
const CHILD_TIMEOUT_SECONDS = 600;
const CONFIG = new URL("../../deno.json", import.meta.url);

/**
 * Registers the tests of `register` so that they run in a new network namespace
 * with `lo` up, all in the same one; what they mount is theirs, too. Outside they show as steps of one test.
 *
 * Where no namespace can be made the test says so: it fails where `CI` is set
 * and is marked as ignored elsewhere.
 *
 * @param file `import.meta.url` of the test file; the call is all that it does.
 */
export function testInNamespace(
  name: string,
  file: string,
  register: () => void,
): void {
  if (Deno.env.get(INSIDE) === file) {
    setKernel();
    runSync("ip", ["link", "set", "lo", "up"]);
    return register();
  }
  const missing = whatIsMissing();
  const note = missing === undefined ? "" : ` (cannot run: ${missing})`;
  Deno.test({
    name: `${name}, in a network namespace${note}`,
    ignore: missing !== undefined && !Deno.env.get("CI"),
    fn: async (context) => {
      if (missing !== undefined) throw new Error(missing);
      const output = await runInside(file);
      const results = readTap(output.stdout);
      for (const { name, failure, ignored } of results) {
        await context.step({
          name,
          ignore: ignored,
          fn: () => {
            if (failure !== undefined) throw new Error(failure);
          },
        });
      }
      const explained = results.some(({ failure }) => failure !== undefined);
      if (results.length === 0 || (!output.success && !explained)) {
        throw new Error(output.stdout + output.stderr);
      }
    },
  });
}

/** Runs a program that must succeed; its standard output. */
export function runSync(program: string, args: readonly string[]): string {
  const output = new Deno.Command(program, { args: [...args] }).outputSync();
  const text = new TextDecoder();
  if (!output.success) {
    throw new Error(
      `${program} ${args.join(" ")}: ${text.decode(output.stderr)}`,
    );
  }
  return text.decode(output.stdout);
}

/** `unshare`'s arguments: an ordinary user becomes root of a namespace first. */
function unshareArgs(): string[] {
  const namespaces = ["--net", "--mount"];
  return Deno.uid() === 0 ? namespaces : [...namespaces, "--map-root-user"];
}

function whatIsMissing(): string | undefined {
  try {
    runSync("unshare", [...unshareArgs(), "ip", "link", "set", "lo", "up"]);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim() : error;
    return `needs root, unshare (util-linux) and ip (iproute2): ${reason}`;
  }
}

async function runInside(
  file: string,
): Promise<{ success: boolean; stdout: string; stderr: string }> {
  // iptables-legacy's lock is one for the whole machine, where other files of
  // this suite or of another one run.
  const lock = await Deno.makeTempFile();
  const command = new Deno.Command("unshare", {
    args: [
      ...unshareArgs(),
      Deno.execPath(),
      "test",
      "--allow-all",
      "--no-check",
      "--cached-only",
      "--reporter=tap",
      `--config=${fromFileUrl(CONFIG)}`,
      fromFileUrl(file),
    ],
    env: { [INSIDE]: file, NO_COLOR: "1", XTABLES_LOCKFILE: lock },
    signal: AbortSignal.timeout(CHILD_TIMEOUT_SECONDS * 1000),
  });
  const output = await command.output().finally(() => Deno.remove(lock));
  const text = new TextDecoder();
  return {
    success: output.success,
    stdout: text.decode(output.stdout),
    stderr: text.decode(output.stderr),
  };
}

/** One test of a report. */
interface TapResult {
  readonly name: string;
  readonly failure: string | undefined;
  readonly ignored: boolean;
}

/**
 * The tests of a TAP version 14 report: `ok 1 - name`, `ok 2 - name # SKIP`, and
 * `not ok 3 - name` with a JSON object that holds the message on the second line
 * after it.
 */
function readTap(report: string): TapResult[] {
  const line =
    /^(not )?ok \d+ - (.*?)( # SKIP\b.*)?$(?:\n +---\n *(\{.*\})$)?/gm;
  return [...report.matchAll(line)].map(
    ([all, not, name, ignored, details]) => ({
      name: name!,
      failure: not && (details ? JSON.parse(details).message : all),
      ignored: ignored !== undefined,
    }),
  );
}
