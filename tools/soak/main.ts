/**
 * `deno task soak`: {@linkcode SOAK_USAGE}.
 *
 * Exit codes: 0 when nothing was lost and nothing grows, 1 when something was or
 * does, 2 for bad usage, 128 + n when signal n ended it. Nothing is left behind.
 *
 * @module
 */

import { abortable } from "@std/async/abortable";
import { describeError } from "../../errors.ts";
import { FakeRandom } from "../../tests/fakes/fake_random.ts";
import { destroyOwn } from "../../tests/rig/teardown.ts";
import { AptHost } from "../apt.ts";
import { Interrupted, onInterrupt } from "../interrupt.ts";
import { requireLinuxRoot } from "../linux_root.ts";
import { ensurePackages, TEST_REQUIREMENTS } from "../packages.ts";
import { Progress } from "../progress.ts";
import { writeStdout } from "../stdout.ts";
import { extendSystemPath } from "../system_path.ts";
import { parseSoakOptions, SOAK_USAGE, SoakUsageError } from "./options.ts";
import { soak } from "./soak.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  extendSystemPath();
  const now = () => performance.now();
  const progress = new Progress(writeStdout, now);
  const apt = new AptHost((line) => progress.note(line));
  const putAway = () => {
    apt.abandon();
    destroyOwn();
  };
  using interrupt = onInterrupt(putAway);
  try {
    const options = parseSoakOptions(
      args,
      () => crypto.getRandomValues(new Uint32Array(1))[0]!,
    );
    if (options.help) {
      writeStdout(SOAK_USAGE);
      return 0;
    }
    requireLinuxRoot("make network namespaces");
    await ensurePackages(
      TEST_REQUIREMENTS,
      apt,
      (line) => progress.note(line),
      interrupt.signal,
    );
    progress.print(
      `deno task soak --minutes ${options.minutes} --seed ${options.seed}` +
        (options.only === "" ? "" : ` --only '${options.only}'`),
    );
    const random = new FakeRandom(options.seed);
    const { grows, judged } = await abortable(
      soak(options, { now, progress, random }, interrupt.signal),
      interrupt.signal,
    );
    for (const line of grows) progress.print(`grows: ${line}`);
    if (grows.length === 0) {
      progress.print(
        judged > 0
          ? `nothing grows in ${judged} agents that lived long enough to tell`
          : "too short to tell whether anything grows",
      );
    }
    return grows.length === 0 ? 0 : 1;
  } catch (error) {
    const interrupted = interrupt.signal.reason;
    if (interrupted instanceof Interrupted) {
      progress.print(`${interrupted.message}: removing everything`);
      return interrupted.exitCode;
    }
    for (let each = error; each !== undefined;) {
      progress.print(describeError(each));
      each = each instanceof Error ? each.cause : undefined;
    }
    return error instanceof SoakUsageError ? 2 : 1;
  } finally {
    putAway();
  }
}
