import { assert, assertEquals } from "@std/assert";
import {
  type Compiled,
  type Phase,
  planPhases,
} from "../../../../tools/test/plan.ts";
import { testFiles } from "../../../../tools/test/test_files.ts";

const ROOT = new URL("../../../../", import.meta.url);
/** Folders of the sources that have unit tests, but for what is beside them. */
const PARTS = [...Deno.readDirSync(new URL("tests/unit/", ROOT))]
  .map(({ name }) => name)
  .filter((name) =>
    !["bench", "fakes", "kernels", "rig", "support", "tools"].includes(name)
  )
  .filter((name) => !name.endsWith(".ts")).sort();
const OTHER_DENO = { deno: "/cache/deno", denoVersion: "0.0.1" };
const OWN_DENO = { deno: Deno.execPath(), denoVersion: Deno.version.deno };
const FILES = [
  "tests/contract/c_test.ts",
  "tests/e2e/x_test.ts",
  "tests/e2e/y_test.ts",
  // It is among the longest.
  "tests/e2e/kernel_path_life_test.ts",
  "tests/long/l_test.ts",
  "tests/unit/u_test.ts",
];

async function plan(
  args: readonly string[],
  { binary, files = FILES, processors = 2, runtime = OTHER_DENO }: {
    binary?: string;
    files?: readonly string[];
    processors?: number;
    runtime?: Compiled["runtime"];
  } = {},
) {
  let compiled = 0;
  const compile = () => {
    compiled += 1;
    return Promise.resolve({ path: "/dist/loden", runtime });
  };
  const phases = await planPhases(args, {
    files,
    processors,
    binary,
    compile,
  });
  return { compiled, phases };
}

/** How many at a time, and the words of each run. */
function words(phases: readonly Phase[]) {
  return phases.map(({ jobs, runs }) => [jobs, runs.map(({ args }) => args)]);
}

Deno.test("the whole suite: unit and contract tests in threads, as many end to end files at a time as processors, the longest first", async () => {
  const { compiled, phases } = await plan([], { runtime: OWN_DENO });
  assertEquals(compiled, 1);
  const check = "--no-check";
  assertEquals(words(phases), [
    [1, [[check, "--parallel", "tests/unit/"]]],
    [1, [[check, "--parallel", "tests/contract/"]]],
    [2, [
      [check, "tests/e2e/kernel_path_life_test.ts"],
      [check, "tests/e2e/x_test.ts"],
      [check, "tests/e2e/y_test.ts"],
    ]],
  ]);
  for (const { binary, deno } of phases.flatMap(({ runs }) => runs)) {
    assertEquals([deno, binary], [Deno.execPath(), "/dist/loden"]);
  }
});

Deno.test("where the binary has another Deno inside, the unit tests of the program run in that one too", async () => {
  const { phases } = await plan(["--fail-fast"]);
  const { runs: [run, ...rest] } = phases.at(-1)!;
  assertEquals(rest, []);
  assertEquals([run!.deno, run!.binary], ["/cache/deno", "/dist/loden"]);
  assert(run!.args.includes("--fail-fast"));
  const folders = run!.args.filter((word) => !word.startsWith("-"));
  // Every part of the program has its folder there.
  assertEquals(folders, PARTS.map((part) => `tests/unit/${part}/`));
});

Deno.test("at least two end to end files run at a time, and four at most", async () => {
  for (const [processors, jobs] of [[1, 2], [2, 2], [3, 3], [64, 4]] as const) {
    const { phases } = await plan(["tests/e2e/"], { processors });
    assertEquals(phases.map((phase) => phase.jobs), [jobs]);
  }
});

Deno.test("named files and folders run with their types checked; long ones are named or left out, and run alone", async () => {
  for (
    const [args, expected] of [
      [["tests/e2e/x_test.ts"], [[2, [["tests/e2e/x_test.ts"]]]]],
      [["tests/long"], [[1, [["tests/long/l_test.ts"]]]]],
      [["./tests/unit/", "--filter=a"], [
        [1, [["--filter=a", "--parallel", "tests/unit/u_test.ts"]]],
      ]],
      // Deno says that there is no such file.
      [["tests/gone_test.ts"], [[2, [["tests/gone_test.ts"]]]]],
    ] as const
  ) {
    const { phases } = await plan(args);
    assertEquals(words(phases), expected.map((phase) => [...phase]));
  }
});

Deno.test("a binary that is there is not compiled", async () => {
  const { compiled, phases } = await plan(["tests/e2e/x_test.ts"], {
    binary: "/b",
  });
  assertEquals(compiled, 0);
  assertEquals(phases[0]!.runs[0]!.binary, "/b");
});

Deno.test("--source runs the sources, whatever binary is there; unit and contract tests need none", async () => {
  for (
    const args of [["--source"], ["--source", "tests/e2e"], ["tests/unit"], [
      "./tests/contract/c_test.ts",
    ]]
  ) {
    const { compiled, phases } = await plan(args, { binary: "/b" });
    assertEquals(compiled, 0);
    for (const { args, binary } of phases.flatMap(({ runs }) => runs)) {
      assertEquals(binary, undefined);
      assert(!args.includes("--source"));
    }
  }
});

Deno.test("every test file of this tree is in one phase, and only one; the long ones are in none", async () => {
  const files = testFiles();
  const { phases } = await plan([], { files, runtime: OWN_DENO });
  const planned = phases.flatMap(({ runs }) => runs)
    .map(({ args }) => args.at(-1)!);
  for (const file of files) {
    const holders = planned.filter((path) => file.startsWith(path));
    const expected = file.startsWith("tests/long/") ? 0 : 1;
    assertEquals(holders.length, expected, file);
  }
});

Deno.test("the files that the plan treats in their own way exist", async () => {
  const source = await Deno.readTextFile(new URL("tools/test/plan.ts", ROOT));
  const files = testFiles();
  const named = [...source.matchAll(/"(tests\/\S+_test\.ts)"/g)];
  assert(named.length > 0);
  for (const [, path] of named) assert(files.includes(path!), path);
});
