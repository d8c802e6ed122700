/**
 * Loden as it runs on a Docker host, beside the same path without Docker.
 *
 * Paths are measured one after the other. Each is up twice, with Docker and
 * without, and the two take turns at each measurement.
 *
 * @module
 */

import { prepareLoden } from "../../tests/rig/loden_program.ts";
import { whatToInstall } from "../../tests/rig/booted/installation.ts";
import type { LinkMode } from "../../tests/rig/link_mode.ts";
import { Rig } from "../../tests/rig/rig.ts";
import { significant } from "../figures.ts";
import { hostFacts } from "../host_facts.ts";
import type { MeasureContext } from "../measure_all.ts";
import { measureTcp } from "../measure/tcp.ts";
import { median } from "../median.ts";
import { MemoryWatch } from "../memory_watch.ts";
import type { BenchOptions } from "../options.ts";
import { createPath } from "../paths/create_path.ts";
import { isUdpPathName } from "../paths/udp_path.ts";
import type { MeasuredPath } from "../paths/measured_path.ts";
import { type DockerPathName, isDockerPathName } from "../paths/path_names.ts";
import { ratioOf } from "../ratios.ts";
import type { PerMode } from "../report.ts";
import type { TrafficCourse } from "../restart/restart_figures.ts";
import { underTraffic } from "../restart/under_traffic.ts";
import { inTurn, rotated, untilReached } from "../turns.ts";
import { DockerPath } from "./docker_path.ts";
import type {
  DockerReport,
  DockerThroughput,
  UnitFigures,
} from "./docker_report.ts";

/** What came of one path. */
interface PathResult {
  readonly name: DockerPathName;
  readonly dockerVersion: string;
  readonly throughput: PerMode<DockerThroughput>;
  readonly agent: UnitFigures | undefined;
  readonly upgrades: readonly TrafficCourse[] | undefined;
}

/** One path, up twice. */
interface Pair {
  readonly plain: MeasuredPath;
  readonly docker: DockerPath;
  readonly memory: MemoryWatch;
}

/** Boots hosts, measures, and takes everything down. */
export async function measureDocker(
  options: BenchOptions,
  context: MeasureContext,
): Promise<DockerReport> {
  const { progress, signal } = context;
  await progress.step(
    "the agent's packages",
    () => prepareLoden(signal),
  );
  const results: PathResult[] = [];
  for (const { modes, name } of options.paths) {
    if (!isDockerPathName(name)) continue;
    results.push(await measurePath(name, modes, options, context));
  }
  const some = <Value>(value: (result: PathResult) => Value | undefined) =>
    Object.fromEntries(
      results.map((result) => [result.name, value(result)] as const)
        .filter(([, found]) => found !== undefined),
    );
  return {
    schema: 1,
    host: hostFacts(),
    runs: options.runs,
    seconds: options.seconds,
    program: whatToInstall().program === "source" ? "source" : "binary",
    dockerVersion: results[0]!.dockerVersion,
    throughput: some(({ throughput }) => throughput),
    agents: some(({ agent }) => agent),
    upgrades: some(({ upgrades }) => upgrades),
  };
}

async function measurePath(
  name: DockerPathName,
  modes: readonly LinkMode[],
  options: BenchOptions,
  context: MeasureContext,
): Promise<PathResult> {
  await using cleanup = new AsyncDisposableStack();
  const pair = await build(name, cleanup, context);
  const throughput: [LinkMode, DockerThroughput][] = [];
  for (const mode of modes) {
    throughput.push([mode, await compare(pair, mode, options, context)]);
  }
  const { docker } = pair;
  docker.thaw();
  const dockerVersion = await docker.dockerVersion();
  const result = {
    name,
    dockerVersion,
    throughput: Object.fromEntries(throughput),
  };
  if (!isUdpPathName(name)) {
    return { ...result, agent: undefined, upgrades: undefined };
  }
  return {
    ...result,
    agent: await measureAgent(pair, options, context),
    upgrades: await measureUpgrades(docker, options, context),
  };
}

async function build(
  name: DockerPathName,
  cleanup: AsyncDisposableStack,
  { progress, rigName, signal }: MeasureContext,
): Promise<Pair> {
  const newRig = async (suffix: string) =>
    cleanup.use(
      await Rig.create({ name: `${rigName}-${name}-${suffix}`, signal }),
    );
  const plain = await progress.step(`two hosts with ${name}`, async () => {
    const path = await createPath(name, await newRig("plain"), signal);
    // Before the rig, which ends them in order.
    cleanup.defer(() => path.thaw());
    path.freeze();
    return path;
  });
  const docker = await progress.step(
    `two booted hosts with ${name} and Docker`,
    async () => {
      const rig = await newRig("docker");
      const path = await DockerPath.create(name, rig, cleanup, signal);
      cleanup.defer(() => path.thaw());
      path.freeze();
      return path;
    },
  );
  return { plain, docker, memory: new MemoryWatch() };
}

async function compare(
  { docker, memory, plain }: Pair,
  mode: LinkMode,
  { runs, seconds }: BenchOptions,
  { progress, signal }: MeasureContext,
): Promise<DockerThroughput> {
  const { name } = docker;
  for (const path of [plain, docker]) {
    await inTurn([path], signal, () => path.enterMode(mode, signal));
  }
  const gbps = new Map<MeasuredPath, number[]>([[plain, []], [docker, []]]);
  for (let index = 0; index < runs; index++) {
    await progress.step(
      `${name}, ${mode}: run ${index + 1} of ${runs}`,
      async () => {
        for (const path of rotated([plain, docker], index)) {
          const watched = path === docker ? docker.processes().flat() : [];
          const result = await inTurn([path], signal, async () => {
            await untilReached(path, signal);
            return await memory.during(
              watched,
              () => measureTcp(path.link, { seconds, streams: 1 }, signal),
            );
          });
          gbps.get(path)!.push(result.gbps);
        }
      },
    );
  }
  const [without, beside] = [gbps.get(plain)!, gbps.get(docker)!];
  return {
    plainGbps: significant(median(without)),
    dockerGbps: significant(median(beside)),
    ratio: ratioOf(beside.map((value, index) => value / without[index]!)),
  };
}

async function measureAgent(
  { docker, memory }: Pair,
  { runs }: BenchOptions,
  { progress, signal }: MeasureContext,
): Promise<UnitFigures> {
  const starts: number[] = [];
  await progress.step(`${docker.name}: starts of the unit`, async () => {
    // The first start of a program reads it from the disk.
    await docker.measureStart(signal);
    while (starts.length < Math.max(runs, 2)) {
      starts.push(await docker.measureStart(signal));
    }
  });
  return {
    startMs: significant(median(starts)),
    rssMb: significant(memory.rssMb),
    rssAnonMb: significant(memory.rssAnonMb),
  };
}

async function measureUpgrades(
  docker: DockerPath,
  { runs }: BenchOptions,
  { progress, signal }: MeasureContext,
): Promise<TrafficCourse[]> {
  const courses: TrafficCourse[] = [];
  await progress.step(`${docker.name}: upgrades under traffic`, async () => {
    while (courses.length < runs) {
      await untilReached(docker, signal);
      courses.push(
        await underTraffic(docker.link, signal, () => docker.upgrade(signal)),
      );
    }
  });
  return courses;
}
