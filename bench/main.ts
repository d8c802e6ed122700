/**
 * Loden beside the bare underlay and the kernel's VXLAN, in one run; with
 * `--docker` Docker beside without; with `--control` the control plane with
 * thousands of leases.
 *
 * Exit codes: 0, 1 when something failed, 2 for bad usage, 128 + n when signal n
 * ended it. No figure is ever judged here.
 *
 * @module
 */

import { describeError } from "../errors.ts";
import { uniqueRigName } from "../tests/rig/names.ts";
import { destroyRig } from "../tests/rig/teardown.ts";
import { AptHost } from "../tools/apt.ts";
import { Interrupted, onInterrupt } from "../tools/interrupt.ts";
import { requireLinuxRoot } from "../tools/linux_root.ts";
import {
  benchRequirements,
  BOOTED_HOST_REQUIREMENTS,
  DEMO_REQUIREMENTS,
  ensurePackages,
  type Requirement,
} from "../tools/packages.ts";
import { Progress } from "../tools/progress.ts";
import { writeStdout } from "../tools/stdout.ts";
import { extendSystemPath } from "../tools/system_path.ts";
import { renderControlReport } from "./control/control_report.ts";
import { FULL_SIZES, QUICK_SIZES } from "./control/control_sizes.ts";
import { measureControl } from "./control/measure_control.ts";
import { measureDocker } from "./docker/measure_docker.ts";
import { renderDockerReport } from "./docker/docker_table.ts";
import { measureAll, type MeasureContext } from "./measure_all.ts";
import {
  BENCH_USAGE,
  type BenchOptions,
  BenchUsageError,
  parseBenchOptions,
} from "./options.ts";
import { renderReport } from "./table.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  let options: BenchOptions;
  try {
    options = parseBenchOptions(args);
  } catch (error) {
    if (!(error instanceof BenchUsageError)) throw error;
    console.error(`${describeError(error)}\n\n${BENCH_USAGE}`);
    return 2;
  }
  if (options.help) {
    writeStdout(BENCH_USAGE);
    return 0;
  }
  extendSystemPath();
  const progress = new Progress(writeStdout, () => performance.now());
  const apt = new AptHost((line) => progress.note(line));
  const rigName = uniqueRigName();
  using interrupt = onInterrupt(() => {
    apt.abandon();
    destroyRig(rigName);
  });
  try {
    requireLinuxRoot("make network namespaces");
    await progress.step("the programs that this needs", () =>
      ensurePackages(
        requirements(options),
        apt,
        (line) => progress.note(line),
        interrupt.signal,
      ));
    const { report, text } = await measure(options, {
      rigName,
      progress,
      signal: interrupt.signal,
    });
    progress.print(`\n${text}`);
    if (options.json) progress.print(JSON.stringify(report));
    return 0;
  } catch (error) {
    const interrupted = interrupt.signal.reason;
    if (interrupted instanceof Interrupted) {
      progress.print(`\n${interrupted.message}: everything is removed`);
      return interrupted.exitCode;
    }
    progress.print(`\nThe measurement failed: ${describeError(error)}`);
    return 1;
  }
}

function requirements(
  { control, docker, paths }: BenchOptions,
): readonly Requirement[] {
  if (control) return DEMO_REQUIREMENTS;
  return [
    ...benchRequirements(paths.map(({ name }) => name)),
    ...docker ? BOOTED_HOST_REQUIREMENTS : [],
  ];
}

async function measure(
  options: BenchOptions,
  context: MeasureContext,
): Promise<{ report: unknown; text: string }> {
  if (options.control) {
    const sizes = options.quick ? QUICK_SIZES : FULL_SIZES;
    const report = await measureControl(
      options.controlPaths,
      sizes,
      options.runs,
      context,
    );
    return { report, text: renderControlReport(report) };
  }
  if (options.docker) {
    const report = await measureDocker(options, context);
    return { report, text: renderDockerReport(report) };
  }
  const report = await measureAll(options, context);
  return { report, text: renderReport(report) };
}
