/**
 * The measurements' command line.
 *
 * @module
 */

import { LodenError } from "../errors.ts";
import { PATH_NAMES, type PathName } from "./report.ts";

/** What to measure. */
export interface BenchOptions {
  readonly help: boolean;
  /** The last line is the report as JSON. */
  readonly json: boolean;
  /** Each measurement is repeated so often; the median counts. */
  readonly runs: number;
  readonly paths: readonly PathName[];
  /** Length of one measurement. */
  readonly seconds: number;
}

/** Bad usage. `code` is `bench.usage`. */
export class BenchUsageError extends LodenError {
  constructor(message: string) {
    super("bench.usage", message, { hint: "see --help" });
  }
}

/** What `--help` says. */
export const BENCH_USAGE = `Usage: deno task bench [OPTION]...

Measures Loden beside the bare underlay and the kernel's VXLAN, between containers
of the same two hosts (network namespaces). Needs root and Linux.

  --runs N      repeat each measurement N times; the median counts (3)
  --paths A,B   some of ${PATH_NAMES.join(", ")} (all)
  --quick       one run of short measurements: under a minute, and noisy
  --json        the last line is the report as one JSON object
  --help        this text

Paths, modes and figures: docs/bench.md
`;

const SECONDS = 5;
const QUICK_SECONDS = 1;

/** Reads the arguments. Throws {@linkcode BenchUsageError}. */
export function parseBenchOptions(args: readonly string[]): BenchOptions {
  let help = false;
  let json = false;
  let quick = false;
  let runs: number | undefined;
  let paths: readonly PathName[] = PATH_NAMES;
  const words = args.flatMap((arg) => {
    const match = /^(--[a-z]+)=(.*)$/.exec(arg);
    return match ? [match[1]!, match[2]!] : [arg];
  });
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    switch (word) {
      case "--help":
        help = true;
        break;
      case "--json":
        json = true;
        break;
      case "--quick":
        quick = true;
        break;
      case "--runs":
        runs = parseRuns(words[++i]);
        break;
      case "--paths":
        paths = parsePaths(words[++i]);
        break;
      default:
        throw new BenchUsageError(`Cannot measure: unknown argument ${word}`);
    }
  }
  return {
    help,
    json,
    paths,
    runs: runs ?? (quick ? 1 : 3),
    seconds: quick ? QUICK_SECONDS : SECONDS,
  };
}

function parseRuns(text: string | undefined): number {
  if (text === undefined || !/^[1-9]\d{0,2}$/.test(text)) {
    throw new BenchUsageError(
      "Cannot measure: --runs must be a whole number from 1 to 999: current " +
        `value is ${text ?? "missing"}`,
    );
  }
  return Number(text);
}

function parsePaths(text: string | undefined): PathName[] {
  const names = (text ?? "").split(",");
  for (const name of names) {
    if (!(PATH_NAMES as readonly string[]).includes(name)) {
      throw new BenchUsageError(
        `Cannot measure: --paths must be some of ${PATH_NAMES.join(",")}: ` +
          `current value is ${text ?? "missing"}`,
      );
    }
  }
  // In the table's order, each once.
  return PATH_NAMES.filter((name) => names.includes(name));
}
