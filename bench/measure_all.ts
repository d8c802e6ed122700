/**
 * Everything that one run of the command measures.
 *
 * Each path has two hosts and a switch of its own, so that none stands in
 * another's way: native XDP, GRO settings and firewall rules are the host's. All
 * are up for the whole time and take turns at each measurement, seconds apart,
 * because what the machine does beside this drifts. The processes of those whose
 * turn it is not are stopped: agents and etcds would take a part of what is
 * measured.
 *
 * @module
 */

import { lodenProgram, prepareLoden } from "../tests/rig/loden_program.ts";
import type { LinkMode } from "../tests/rig/link_mode.ts";
import { Rig } from "../tests/rig/rig.ts";
import type { Progress } from "../tools/progress.ts";
import {
  medianFigures,
  type PathFigures,
  type RunFigures,
  runFigures,
  significant,
} from "./figures.ts";
import { hostFacts } from "./host_facts.ts";
import { MEASUREMENTS } from "./measurements.ts";
import { median } from "./median.ts";
import { MemoryWatch } from "./memory_watch.ts";
import type { BenchOptions, PathInModes } from "./options.ts";
import { AgentsPath } from "./paths/agents_path.ts";
import { createPath } from "./paths/create_path.ts";
import type { MeasuredPath } from "./paths/measured_path.ts";
import { isLodenPathName, type PathName } from "./paths/path_names.ts";
import { peerVersion } from "./paths/peer_version.ts";
import { UdpPath } from "./paths/udp_path.ts";
import { ratiosTo } from "./ratios.ts";
import type { AgentFigures, BenchReport, PerMode, PerPath } from "./report.ts";
import { measureRestart } from "./restart/measure_restart.ts";
import {
  DISTURBANCES,
  FEW_DISTURBANCES,
  type RestartFigures,
} from "./restart/restart_figures.ts";
import {
  inLongTurns,
  inShortTurns,
  inTurn,
  rotated,
  untilReached,
} from "./turns.ts";

/** A path that is up, and what has been measured of it. */
interface Entry {
  readonly path: MeasuredPath;
  readonly modes: readonly LinkMode[];
  readonly runs: Map<LinkMode, RunFigures[]>;
  readonly receive: Map<LinkMode, string>;
  readonly memory: MemoryWatch;
}

/** What ratios are taken to: the first of them that is measured. */
const RATIO_BASES: readonly PathName[] = ["vxlan", "udp-tun"];

/** What the measurements run with. */
export interface MeasureContext {
  /** Rigs are called by it, a dash and a number. */
  readonly rigName: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Builds the paths, measures, and takes everything down. */
export async function measureAll(
  options: BenchOptions,
  context: MeasureContext,
): Promise<BenchReport> {
  await using cleanup = new AsyncDisposableStack();
  const entries = await build(options.paths, cleanup, context);
  const loden = entries.filter((entry) => entry.path instanceof UdpPath);
  const agents = options.measurements.includes("start")
    ? await measureAgentStarts(loden, options, context)
    : new Map<PathName, StartFigures>();
  const restart = new Map<PathName, RestartFigures[]>();
  for (const mode of options.modes) {
    const measured = entries.filter(({ modes }) => modes.includes(mode));
    await enterMode(measured, mode, context);
    for (let index = 0; index < options.runs; index++) {
      await measureRun(measured, mode, index, options, context);
    }
    if (options.measurements.includes("restart")) {
      await measureRestarts(measured, mode, restart, options, context);
    }
  }
  return report(entries, agents, restart, options);
}

async function build(
  wanted: readonly PathInModes[],
  cleanup: AsyncDisposableStack,
  { progress, rigName, signal }: MeasureContext,
): Promise<Entry[]> {
  if (wanted.some(({ name }) => isLodenPathName(name))) {
    await progress.step(
      "the agent's packages",
      () => prepareLoden(signal),
    );
  }
  const entries: Entry[] = [];
  for (const [index, { modes, name }] of wanted.entries()) {
    const path = await progress.step(`two hosts with ${name}`, async () => {
      const rig = await Rig.create({ name: `${rigName}-${index}`, signal });
      cleanup.use(rig);
      const path = await createPath(name, rig, signal);
      // Before the rig, which ends them in order.
      cleanup.defer(() => path.thaw());
      path.freeze();
      return path;
    });
    entries.push({
      path,
      modes,
      runs: new Map(modes.map((mode) => [mode, []])),
      receive: new Map(),
      memory: new MemoryWatch(),
    });
  }
  return entries;
}

async function enterMode(
  measured: readonly Entry[],
  mode: LinkMode,
  { progress, signal }: MeasureContext,
): Promise<void> {
  await progress.step(`${mode}: the underlay`, async () => {
    for (const { path, receive } of measured) {
      await inTurn([path], signal, async () => {
        await path.enterMode(mode, signal);
        if (!(path instanceof UdpPath)) return;
        const start = path.lastStart();
        if (start.receive !== undefined) receive.set(mode, start.receive);
      });
    }
  });
}

async function measureRun(
  measured: readonly Entry[],
  mode: LinkMode,
  runIndex: number,
  { measurements, runs, seconds }: BenchOptions,
  { progress, signal }: MeasureContext,
): Promise<void> {
  const entries = rotated(measured, runIndex);
  const paths = entries.map(({ path }) => path);
  const turns: PathFigures[][] = entries.map(() => []);
  for (const [name, measurement] of Object.entries(MEASUREMENTS)) {
    if (!(measurements as readonly string[]).includes(name)) continue;
    const figures = await progress.step(
      `${mode}, run ${runIndex + 1} of ${runs}: ${measurement.title}`,
      () =>
        watchingMemory(
          entries,
          () =>
            "open" in measurement
              ? inShortTurns(paths, measurement.open, seconds, signal)
              : inLongTurns(
                paths,
                (path) => measurement.measure(path, seconds, signal),
                signal,
              ),
        ),
    );
    for (const [index, own] of figures.entries()) turns[index]!.push(...own);
  }
  for (const [index, { runs }] of entries.entries()) {
    runs.get(mode)!.push(runFigures(turns[index]!));
  }
}

/** Also of those whose turn it is not: they have what they had. */
function watchingMemory<Result>(
  entries: readonly Entry[],
  work: () => Promise<Result>,
): Promise<Result> {
  return entries.reduce(
    (inner, { memory, path }) => () =>
      memory.during(path.processes().flat(), inner),
    work,
  )();
}

type StartFigures = Pick<AgentFigures, "startMs" | "loadMs">;

async function measureAgentStarts(
  entries: readonly Entry[],
  { runs }: BenchOptions,
  { progress, signal }: MeasureContext,
): Promise<Map<PathName, StartFigures>> {
  const starts = new Map<PathName, StartFigures>();
  for (const { path } of entries) {
    if (!(path instanceof UdpPath)) continue;
    const { loadMs, startMs } = await progress.step(
      `starts of ${path.name}`,
      () =>
        inTurn(
          [path],
          signal,
          () => path.measureStarts(Math.max(runs, 2), signal),
        ),
    );
    starts.set(path.name, {
      startMs: significant(median(startMs)),
      loadMs: loadMs.length > 0 ? significant(median(loadMs)) : null,
    });
  }
  return starts;
}

async function measureRestarts(
  measured: readonly Entry[],
  mode: LinkMode,
  restart: Map<PathName, RestartFigures[]>,
  { fewDisturbances, modes }: BenchOptions,
  { progress, signal }: MeasureContext,
): Promise<void> {
  if (fewDisturbances && mode !== modes[0]) return;
  for (const { path } of measured) {
    // The rows of their own receive modes differ from udp-ebpf in nothing here.
    const isMeasured = path.name === "udp-tun" || path.name === "udp-ebpf";
    if (!(path instanceof UdpPath && isMeasured)) continue;
    const figures = restart.get(path.name) ?? [];
    restart.set(path.name, figures);
    await progress.step(
      `${mode}: restarts of ${path.name}`,
      () =>
        inTurn([path], signal, async () => {
          await untilReached(path, signal);
          for (
            const disturbance of fewDisturbances
              ? FEW_DISTURBANCES
              : DISTURBANCES
          ) {
            figures.push(await measureRestart(path, mode, disturbance, signal));
          }
        }),
    );
  }
}

async function report(
  entries: readonly Entry[],
  starts: ReadonlyMap<PathName, StartFigures>,
  restart: ReadonlyMap<PathName, RestartFigures[]>,
  { runs, seconds }: BenchOptions,
): Promise<BenchReport> {
  const entryOf = (name: PathName) =>
    entries.find(({ path }) => path.name === name);
  const base = RATIO_BASES.map(entryOf).find((entry) => entry !== undefined);
  const versions: [PathName, string][] = [];
  for (const { path } of entries) {
    const version = await peerVersion(path.name);
    if (version !== undefined) versions.push([path.name, version]);
  }
  return {
    schema: 2,
    host: hostFacts(),
    program: lodenProgram(),
    runs,
    seconds,
    paths: perPath(entries, ({ runs }) => perMode(runs, medianFigures)),
    ratiosTo: base?.path.name ?? null,
    ratios: ratiosOf(entries, base),
    underlayRatios: ratiosOf(entries, entryOf("underlay")),
    receive: perPath(
      entries.filter(({ receive }) => receive.size > 0),
      ({ receive }) => perMode(receive, (mode) => mode),
    ),
    agents: perPath(
      entries.filter(({ path }) => path instanceof AgentsPath),
      ({ memory, path }) => ({
        ...starts.get(path.name) ?? { startMs: null, loadMs: null },
        rssMb: memory.rssMb === 0 ? null : significant(memory.rssMb),
        rssAnonMb: memory.rssMb === 0 ? null : significant(memory.rssAnonMb),
      }),
    ),
    restart: Object.fromEntries(restart),
    versions: Object.fromEntries(versions),
  };
}

/** Of the others to `base`; none if it was not measured. */
function ratiosOf(
  entries: readonly Entry[],
  base: Entry | undefined,
): BenchReport["ratios"] {
  if (base === undefined) return {};
  return perPath(
    entries.filter((entry) => entry !== base),
    ({ runs }) =>
      perMode(runs, (own, mode) => ratiosTo(base.runs.get(mode) ?? [], own)),
  );
}

function perPath<Value>(
  entries: readonly Entry[],
  value: (entry: Entry) => Value,
): PerPath<Value> {
  return Object.fromEntries(
    entries.map((entry) => [entry.path.name, value(entry)]),
  );
}

function perMode<Measured, Value>(
  measured: ReadonlyMap<LinkMode, Measured>,
  value: (measured: Measured, mode: LinkMode) => Value,
): PerMode<Value> {
  return Object.fromEntries(
    [...measured].map(([mode, some]) => [mode, value(some, mode)]),
  );
}
