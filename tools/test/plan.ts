/**
 * Which tests run, by which Deno, on which Loden, and how many at a time.
 *
 * Unit and contract tests run in one process each, a thread per file. An end to
 * end file is a process of its own: names of rigs are unique per process.
 *
 * @module
 */

import { V8_FLAGS } from "../compile/deno_flags.ts";

/** One `deno test`. */
export interface PlannedRun {
  /** What it is called in the output: a path or a folder. */
  readonly name: string;
  /** Path of the Deno that runs the tests. */
  readonly deno: string;
  /** Words behind `deno test --allow-all`. */
  readonly args: readonly string[];
  /** Path of the binary that agents run from; the sources without it. */
  readonly binary: string | undefined;
}

/** Runs that may be under way at the same time. */
export interface Phase {
  readonly title: string;
  readonly runs: readonly PlannedRun[];
  /** How many run at a time. */
  readonly jobs: number;
}

/** What {@linkcode planPhases} needs of a compiled Loden. */
export interface Compiled {
  readonly path: string;
  readonly runtime: { readonly deno: string; readonly denoVersion: string };
}

/** What the plan is made from. */
export interface PlanInput {
  /** Paths of all test files, from the root of the tree. */
  readonly files: readonly string[];
  /** How many the machine has. */
  readonly processors: number;
  /** One that is there already. */
  readonly binary: string | undefined;
  readonly compile: () => Promise<Compiled>;
}

/** Minutes each, or for measuring: they run when they are named. */
const LONG = "tests/long/";

/**
 * A file waits half of its time, so two fit on one processor; not more than one
 * for each processor, as many count single packets. Memory is the other limit:
 * about 700 MB for each.
 */
const LEAST_JOBS = 2;
const MOST_JOBS = 4;

/**
 * They take a minute or more, and start first, so that none is the last one. One
 * of the first makes the booted hosts' image, which the last one needs.
 */
const FIRST: readonly string[] = [
  "tests/e2e/kernel_path_life_test.ts",
  "tests/e2e/docker/package_test.ts",
  "tests/e2e/changes_while_running_test.ts",
  "tests/e2e/docker/docker_test.ts",
];

/** Unit tests of the program, not of what is beside it. */
const OF_THE_PROGRAM = [
  "agent",
  "backend",
  "commands",
  "config",
  "deno27",
  "host",
  "lease",
  "linux",
  "net",
].map((part) => `tests/unit/${part}/`);

/** See there. */
const SANITIZERS = "--preload=deno27/test_sanitizers.ts";

/** Whether the command line names no file and no folder. */
export function isWholeSuite(args: readonly string[]): boolean {
  return namesIn(args).length === 0;
}

function namesIn(args: readonly string[]): string[] {
  return args.filter((arg) => !arg.startsWith("-"));
}

/** Plans what the command line asks for; compiles when an agent will run. */
export async function planPhases(
  args: readonly string[],
  { files, processors, binary, compile }: PlanInput,
): Promise<Phase[]> {
  const names = namesIn(args);
  const options = args.filter((arg) =>
    arg.startsWith("-") && arg !== "--source"
  );
  const chosen = select(files, names);
  const wholeSuite = isWholeSuite(args);
  // The whole suite's types are checked once, before it.
  const check = wholeSuite ? ["--no-check"] : [];
  const runsAgents = chosen.some((file) => !isWithoutAgents(file));
  const compiled = runsAgents && binary === undefined &&
      !args.includes("--source")
    ? await compile()
    : undefined;
  const agents = args.includes("--source") || !runsAgents
    ? undefined
    : binary ?? compiled?.path;
  const run = (name: string, words: readonly string[]): PlannedRun => ({
    name,
    deno: Deno.execPath(),
    args: [...check, ...options, ...words],
    binary: agents,
  });
  const together = (title: string, folder: string): Phase => {
    const words = wholeSuite
      ? [folder]
      : chosen.filter((file) => file.startsWith(folder));
    const runs = words.length === 0
      ? []
      : [run(folder, ["--parallel", ...words])];
    return { title, jobs: 1, runs };
  };
  const others = chosen.filter((file) => !isWithoutAgents(file));
  const long = others.filter((file) => file.startsWith(LONG));
  const endToEnd = startingWith(
    FIRST,
    others.filter((file) => !long.includes(file)),
  );
  const jobs = Math.min(Math.max(processors, LEAST_JOBS), MOST_JOBS);
  const from = `agents run from ${agents ?? "the sources"}`;
  const phases = [
    together("unit tests", "tests/unit/"),
    together("contract tests", "tests/contract/"),
    {
      title: `end to end, ${jobs} files at a time; ${from}`,
      runs: endToEnd.map((file) => run(file, [file])),
      jobs,
    },
    {
      title: `long tests, one file at a time; ${from}`,
      runs: long.map((file) => run(file, [file])),
      jobs: 1,
    },
    ...wholeSuite && compiled !== undefined
      ? [inOtherDeno(compiled, options)]
      : [],
  ];
  return phases.filter(({ runs }) => runs.length > 0);
}

/** The binary's Deno may be another one than that of the tests. */
function inOtherDeno(
  { path, runtime: { deno, denoVersion } }: Compiled,
  options: readonly string[],
): Phase {
  const title = `unit tests in the binary's Deno ${denoVersion}`;
  if (denoVersion === Deno.version.deno) return { title, jobs: 1, runs: [] };
  return {
    title,
    jobs: 1,
    runs: [{
      name: `tests/unit/ in Deno ${denoVersion}`,
      deno,
      // Its types are of another version; the first run has checked them.
      args: [
        ...["--no-check", "--frozen", "--parallel", SANITIZERS, V8_FLAGS],
        ...options,
        ...OF_THE_PROGRAM,
      ],
      binary: path,
    }],
  };
}

/** The files that are named or lie in a named folder; by default the suite. */
function select(
  files: readonly string[],
  names: readonly string[],
): readonly string[] {
  if (names.length === 0) return files.filter((file) => !file.startsWith(LONG));
  return names.flatMap((given) => {
    const name = given.replace(/^\.\//, "").replace(/\/$/, "");
    const found = files.filter((file) =>
      file === name || file.startsWith(`${name}/`)
    );
    // Deno says what is wrong with it.
    return found.length > 0 ? found : [name];
  });
}

function startingWith(
  first: readonly string[],
  files: readonly string[],
): string[] {
  return [
    ...first.filter((file) => files.includes(file)),
    ...files.filter((file) => !first.includes(file)),
  ];
}

function isWithoutAgents(path: string): boolean {
  return path.startsWith("tests/unit/") || path.startsWith("tests/contract/");
}
