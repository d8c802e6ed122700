/**
 * Loden beside the bare underlay and the kernel's VXLAN, in one run.
 *
 * Exit codes: 0, 1 when something failed, 2 for bad usage, 128 + n when signal n
 * ended it. No figure is ever judged here.
 *
 * @module
 */

import { describeError } from "../errors.ts";
import { CLI_PATH } from "../tests/rig/agent.ts";
import { run } from "../tests/rig/command.ts";
import type { LinkMode } from "../tests/rig/link_mode.ts";
import { uniqueRigName } from "../tests/rig/names.ts";
import { Rig } from "../tests/rig/rig.ts";
import { destroyRig } from "../tests/rig/teardown.ts";
import { AptHost } from "../tools/apt.ts";
import { Interrupted, onInterrupt } from "../tools/interrupt.ts";
import { BENCH_REQUIREMENTS, ensurePackages } from "../tools/packages.ts";
import { Progress } from "../tools/progress.ts";
import { requireLinuxRoot } from "../tools/linux_root.ts";
import { writeStdout } from "../tools/stdout.ts";
import { extendSystemPath } from "../tools/system_path.ts";
import {
  type MeasuredAgents,
  MemoryWatch,
  startMeasuredAgents,
} from "./agent_figures.ts";
import { hostFacts } from "./host_facts.ts";
import { busySeconds } from "./measure/cpu.ts";
import { ping } from "./measure/ping.ts";
import { measureRequestResponse } from "./measure/request_response.ts";
import { measureTcp } from "./measure/tcp.ts";
import { measureUdp } from "./measure/udp.ts";
import { median } from "./median.ts";
import {
  BENCH_USAGE,
  type BenchOptions,
  BenchUsageError,
  parseBenchOptions,
} from "./options.ts";
import { type BenchPath, createPath } from "./paths.ts";
import {
  type BenchReport,
  LINK_MODES,
  medianFigures,
  type PathFigures,
  type PathName,
} from "./report.ts";
import { renderReport } from "./table.ts";

const CONFIG = { Network: "10.1.0.0/16" };

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
  const name = uniqueRigName();
  using interrupt = onInterrupt(() => {
    apt.abandon();
    destroyRig(name);
  });
  try {
    requireLinuxRoot("make network namespaces");
    await progress.step("the programs that this needs", () =>
      ensurePackages(
        BENCH_REQUIREMENTS,
        apt,
        (line) => progress.note(line),
        interrupt.signal,
      ));
    await using rig = await Rig.create({ name, signal: interrupt.signal });
    const report = await measureAll(rig, options, progress, interrupt.signal);
    progress.print(`\n${renderReport(report)}`);
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

async function measureAll(
  rig: Rig,
  options: BenchOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<BenchReport> {
  const { paths: names, runs, seconds } = options;
  const measured = names.includes("udp-tun")
    ? await startAgents(rig, options, progress, signal)
    : undefined;
  const paths = await progress.step(`paths: ${names.join(", ")}`, async () => {
    const made: BenchPath[] = [];
    for (const name of names) {
      made.push(
        await createPath(rig, name, measured?.agents ?? [], signal),
      );
    }
    return made;
  });
  const memory = new MemoryWatch(
    measured?.agents.map((agent) => agent.process.pid) ?? [],
  );
  const results = new Map<PathName, Record<LinkMode, PathFigures[]>>(
    names.map((name) => [name, { super: [], software: [] }]),
  );
  // What the machine does beside this drifts, so the paths take turns.
  for (let index = 1; index <= runs; index++) {
    for (const mode of LINK_MODES) {
      await rig.setLinkMode(mode, signal);
      for (const path of paths) {
        const figures = await progress.step(
          `run ${index} of ${runs}, ${mode}, ${path.name}`,
          () => memory.during(() => measurePath(path, seconds, signal)),
        );
        results.get(path.name)![mode].push(figures);
      }
    }
  }
  return {
    schema: 1,
    host: hostFacts(),
    runs,
    paths: Object.fromEntries(
      [...results].map(([name, modes]) => [name, {
        super: medianFigures(modes.super),
        software: medianFigures(modes.software),
      }]),
    ),
    agent: measured
      ? medianFigures([{
        startMs: median(measured.startMs),
        rssMb: memory.rssMb,
        rssAnonMb: memory.rssAnonMb,
      }])
      : null,
  };
}

async function startAgents(
  rig: Rig,
  options: BenchOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<MeasuredAgents> {
  await progress.step(
    "the agent's packages",
    () => run([Deno.execPath(), "cache", "--quiet", CLI_PATH], { signal }),
  );
  await progress.step("etcd", async () => {
    await rig.startEtcd();
    await rig.publish(CONFIG);
  });
  return await progress.step(
    "an agent on each host",
    () => startMeasuredAgents(rig, Math.max(options.runs, 2), signal),
  );
}

async function measurePath(
  { link, name }: BenchPath,
  seconds: number,
  signal: AbortSignal,
): Promise<PathFigures> {
  // Neighbours are found and peers known before anything counts.
  const { received } = await ping(link.client.namespace, link.server.address, {
    count: 5,
    intervalSeconds: 0.1,
    deadlineSeconds: 10,
  }, signal);
  if (received === 0) {
    throw new Error(
      `Cannot measure ${name}: ${link.server.address} must answer a ping`,
    );
  }
  const busyBefore = busySeconds();
  const tcp = await measureTcp(link, { seconds, streams: 1 }, signal);
  const busy = busySeconds() - busyBefore;
  const tcp8 = await measureTcp(link, { seconds, streams: 8 }, signal);
  const rr = await measureRequestResponse(link, { seconds }, signal);
  const udp = await measureUdp(link, { seconds }, signal);
  return {
    tcpGbps: tcp.gbps,
    tcp8Gbps: tcp8.gbps,
    rrPerSecond: rr.perSecond,
    rrP50Us: rr.p50Us,
    rrP99Us: rr.p99Us,
    pps64: udp.packetsPerSecond,
    cpuSecondsPerGbit: busy / (tcp.bytes * 8 / 1e9),
  };
}
