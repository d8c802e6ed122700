/**
 * Which tests run, by which Deno, on which Loden.
 *
 * @module
 */

import { V8_FLAGS } from "../compile/deno_flags.ts";

/** One `deno test`. */
export interface PlannedRun {
  /** For people. */
  readonly title: string;
  /** Path of the Deno that runs the tests. */
  readonly deno: string;
  /** Words behind `deno test --allow-all`. */
  readonly args: readonly string[];
  /** Path of the binary that agents run from; the sources without it. */
  readonly binary: string | undefined;
}

/** What {@linkcode planRuns} needs of a compiled Loden. */
export interface Compiled {
  readonly path: string;
  readonly runtime: { readonly deno: string; readonly denoVersion: string };
}

/** Where a binary comes from. */
export interface PlanInput {
  /** One that is there already. */
  readonly binary: string | undefined;
  readonly compile: () => Promise<Compiled>;
}

/** These tests run no agent. */
const WITHOUT_AGENTS = ["tests/unit/", "tests/contract/"];

/** Unit tests of the program, not of what is beside it. */
const OF_THE_PROGRAM = [
  ...[
    "agent",
    "backend",
    "commands",
    "config",
    "host",
    "lease",
    "linux",
    "net",
  ],
].map((part) => `tests/unit/${part}/`);

/** See there. */
const SANITIZERS = "--preload=tools/test/sanitizers.ts";

/** Plans what the command line asks for; compiles when an agent will run. */
export async function planRuns(
  args: readonly string[],
  { binary, compile }: PlanInput,
): Promise<PlannedRun[]> {
  const rest = args.filter((arg) => arg !== "--source");
  const names = rest.filter((arg) => !arg.startsWith("-"));
  const words = names.length > 0 ? rest : [...rest, "tests/"];
  const own = { deno: Deno.execPath(), args: words };
  const runsAgents = names.length === 0 || !names.every(isWithoutAgents);
  if (rest.length < args.length || !runsAgents) {
    return [{
      ...own,
      title: runsAgents ? "agents run from the sources" : "no agents run",
      binary: undefined,
    }];
  }
  if (binary !== undefined) {
    return [{ ...own, title: `agents run from ${binary}`, binary }];
  }
  const { path, runtime: { deno, denoVersion } } = await compile();
  const runs = [{ ...own, title: `agents run from ${path}`, binary: path }];
  if (names.length > 0 || denoVersion === Deno.version.deno) return runs;
  return [...runs, {
    title: `unit tests in the binary's Deno ${denoVersion}`,
    deno,
    // Its types are of another version; the first run has checked them.
    args: [
      ...["--no-check", "--frozen", "--parallel", SANITIZERS, V8_FLAGS],
      ...rest,
      ...OF_THE_PROGRAM,
    ],
    binary: path,
  }];
}

function isWithoutAgents(path: string): boolean {
  return WITHOUT_AGENTS.some((folder) =>
    `${path}/`.replace(/^\.\//, "").startsWith(folder)
  );
}
