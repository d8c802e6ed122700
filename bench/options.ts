/**
 * The measurements' command line.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { LodenError } from "../errors.ts";
import type { LinkMode } from "../tests/rig/link_mode.ts";
import { MEASUREMENT_NAMES, type MeasurementName } from "./measurements.ts";
import { CONTROL_PATHS, type ControlPath } from "./control/control_paths.ts";
import {
  DOCKER_PATH_NAMES,
  isDockerPathName,
  LINK_MODES,
  PATH_NAMES,
  type PathName,
  PATHS,
  pathsWhere,
  USUAL_MODES,
} from "./paths/path_names.ts";

/** What to measure. */
export interface BenchOptions {
  readonly help: boolean;
  /** Beside the same without Docker, instead of beside VXLAN. */
  readonly docker: boolean;
  /** The last line is the report as JSON. */
  readonly json: boolean;
  /** Each measurement is repeated so often; the median counts. */
  readonly runs: number;
  /** Length of one measurement. */
  readonly seconds: number;
  readonly measurements: readonly MeasurementName[];
  /** In the report's order. */
  readonly modes: readonly LinkMode[];
  /** In the report's order, each with at least one of the modes. */
  readonly paths: readonly PathInModes[];
  /** Two of the disturbances only. */
  readonly fewDisturbances: boolean;
  /** The control plane at scale, and nothing else. */
  readonly control: boolean;
  /** Of it, in the report's order. */
  readonly controlPaths: readonly ControlPath[];
  readonly quick: boolean;
}

/** A path, and the modes in which it is measured. */
export interface PathInModes {
  readonly name: PathName;
  readonly modes: readonly LinkMode[];
}

/** Bad usage. `code` is `bench.usage`. */
export class BenchUsageError extends LodenError {
  constructor(message: string) {
    super("bench.usage", message, { hint: "see --help" });
  }
}

/** What `--help` says. */
export const BENCH_USAGE = `Usage: deno task bench [OPTION]...

Compares Loden with the bare underlay and the kernel's VXLAN, between containers
of two hosts (network namespaces). Needs root and Linux.

  --runs N       repeat each measurement N times; the median counts (3)
  --paths A,B    some of
                 ${wrapped(PATH_NAMES)}
                 (all that make sense in a mode, except the last seven)
  --peers        also the last three, which are comparable programs
  --modes A,B    some of ${LINK_MODES.join(", ")}
                 (${USUAL_MODES.join(" and ")})
  --figures A,B  some of
                 ${wrapped(MEASUREMENT_NAMES)} (all)
  --docker       each path between containers of real Docker daemons on booted
                 hosts, and the same without Docker; starts, memory and
                 upgrades of the agent's unit. LODEN_BINARY names the program
                 to install there (default: the sources)
  --quick        one run of short measurements, without super and the rows
                 ${wrapped(pathsWhere(({ isDetail }) => isDetail === true))}:
                 under two minutes, and noisy
  --control      instead of all that: one agent with the leases of 10,000 hosts,
                 and 200 hosts that join at once; with --runs, --quick, --json,
                 and --paths, which are then some of
                 ${wrapped(CONTROL_PATHS)} (all)
  --json         the last line is the report as one JSON object
  --help         this text

Paths, modes and figures: docs/bench.md
`;

const SECONDS = 5;
const QUICK_SECONDS = 1;
const RUNS = 3;
const QUICK_MODES: readonly LinkMode[] = ["wire"];
const DOCKER_MODES: readonly LinkMode[] = ["software", "super"];

/** Reads the arguments. Throws {@linkcode BenchUsageError}. */
export function parseBenchOptions(args: readonly string[]): BenchOptions {
  const { help, docker, json, quick, control, peers, ...given } = parseArgs(
    [...args],
    {
      boolean: ["help", "docker", "json", "quick", "control", "peers"],
      string: ["runs", "paths", "modes", "figures"],
      unknown: (word: string) => {
        throw new BenchUsageError(`Cannot measure: unknown argument ${word}`);
      },
    },
  );
  const runs = parseRuns(given.runs);
  const controlPaths = control
    ? parseList("--paths", CONTROL_PATHS, given.paths)
    : undefined;
  const paths = control
    ? undefined
    : parseList("--paths", PATH_NAMES, given.paths);
  const modes = parseList("--modes", LINK_MODES, given.modes);
  const figures = parseList("--figures", MEASUREMENT_NAMES, given.figures);
  if (
    control && (docker || peers || (modes ?? figures) !== undefined)
  ) {
    throw new BenchUsageError(
      "Cannot measure: --control measures no packets, so it must stand without " +
        "--docker, --peers, --modes and --figures",
    );
  }
  const extra = peers ? "--peers" : figures && "--figures";
  if (docker && extra !== undefined) {
    throw new BenchUsageError(`Cannot measure: --docker has no ${extra}`);
  }
  const foreign = docker && paths?.find((name) => !isDockerPathName(name));
  if (foreign) {
    throw new BenchUsageError(
      `Cannot measure: with --docker, --paths must be some of ` +
        `${DOCKER_PATH_NAMES.join(",")}: current value has ${foreign}`,
    );
  }
  const measuredModes = modes ??
    (docker ? DOCKER_MODES : quick ? QUICK_MODES : USUAL_MODES);
  const named = new Set(paths);
  const wanted = pathsWhere(({ isPeer, isNamedOnly, isDetail }) =>
    isPeer ? peers : paths === undefined && !isNamedOnly && !(quick && isDetail)
  );
  return {
    help,
    docker,
    json,
    runs: runs ?? (quick ? 1 : RUNS),
    seconds: quick ? QUICK_SECONDS : SECONDS,
    measurements: figures ?? MEASUREMENT_NAMES,
    modes: measuredModes,
    paths: PATH_NAMES
      .filter((name) => named.has(name) || wanted.includes(name))
      .filter((name) => !docker || isDockerPathName(name))
      .map((name) => ({
        name,
        modes: named.has(name)
          ? measuredModes
          : measuredModes.filter((mode) =>
            (PATHS[name].modes as readonly LinkMode[]).includes(mode)
          ),
      }))
      .filter(({ modes }) => modes.length > 0),
    fewDisturbances: quick,
    control,
    controlPaths: controlPaths ?? CONTROL_PATHS,
    quick,
  };
}

function parseRuns(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,2}$/.test(text)) {
    throw new BenchUsageError(
      "Cannot measure: --runs must be a whole number from 1 to 999: current " +
        `value is ${text || "missing"}`,
    );
  }
  return Number(text);
}

/** Some of `known`, in its order, each once. */
function parseList<Name extends string>(
  option: string,
  known: readonly Name[],
  text: string | undefined,
): Name[] | undefined {
  if (text === undefined) return undefined;
  const names = text.split(",");
  if (!names.every((name) => (known as readonly string[]).includes(name))) {
    throw new BenchUsageError(
      `Cannot measure: ${option} must be some of ${known.join(",")}: ` +
        `current value is ${text || "missing"}`,
    );
  }
  return known.filter((name) => names.includes(name));
}

function wrapped(names: readonly string[]): string {
  const lines = [""];
  for (const [index, name] of names.entries()) {
    const word = name + (index === names.length - 1 ? "" : ",");
    const line = lines.at(-1)!;
    if (line.length + word.length > 58) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.join("\n                 ");
}
