import { assertEquals } from "@std/assert";
import { type Compiled, planRuns } from "../../../../tools/test/plan.ts";

const ROOT = new URL("../../../../", import.meta.url);
/** Folders of the sources that have unit tests, but for what is beside them. */
const PARTS = [...Deno.readDirSync(new URL("tests/unit/", ROOT))]
  .map(({ name }) => name)
  .filter((name) => !["bench", "fakes", "rig", "tools"].includes(name))
  .filter((name) => !name.endsWith(".ts")).sort();
const OTHER_DENO = { deno: "/cache/deno", denoVersion: "0.0.1" };
const OWN_DENO = { deno: Deno.execPath(), denoVersion: Deno.version.deno };

async function plan(
  args: readonly string[],
  { binary, runtime = OTHER_DENO }: {
    binary?: string;
    runtime?: Compiled["runtime"];
  } = {},
) {
  let compiled = 0;
  const compile = () => {
    compiled += 1;
    return Promise.resolve({ path: "/dist/loden", runtime });
  };
  const runs = await planRuns(args, { binary, compile });
  return {
    compiled,
    runs: runs.map(({ args, binary, deno }) => [deno, args, binary]),
  };
}

Deno.test("without arguments all tests run on a fresh binary, and the unit tests of the program in its Deno too", async () => {
  const { compiled, runs } = await plan([]);
  assertEquals(compiled, 1);
  const [first, second, ...rest] = runs;
  assertEquals(first, [Deno.execPath(), ["tests/"], "/dist/loden"]);
  assertEquals(rest, []);
  const [deno, words, binary] = second!;
  assertEquals([deno, binary], ["/cache/deno", "/dist/loden"]);
  const folders = (words as string[]).filter((word) => !word.startsWith("-"));
  // Every part of the program has its folder there.
  assertEquals(folders, PARTS.map((part) => `tests/unit/${part}/`));
});

Deno.test("a binary with this very Deno inside needs no second run", async () => {
  const { runs } = await plan(["--fail-fast"], { runtime: OWN_DENO });
  assertEquals(runs, [
    [Deno.execPath(), ["--fail-fast", "tests/"], "/dist/loden"],
  ]);
});

Deno.test("files are run on the binary once; a binary that is there is not compiled", async () => {
  assertEquals(await plan(["tests/e2e/x_test.ts"]), {
    compiled: 1,
    runs: [[Deno.execPath(), ["tests/e2e/x_test.ts"], "/dist/loden"]],
  });
  assertEquals(await plan(["tests/e2e/x_test.ts"], { binary: "/b" }), {
    compiled: 0,
    runs: [[Deno.execPath(), ["tests/e2e/x_test.ts"], "/b"]],
  });
});

Deno.test("--source runs the sources, whatever binary is there; unit tests need none", async () => {
  for (
    const [args, words] of [
      [["--source"], ["tests/"]],
      [["--source", "tests/e2e"], ["tests/e2e"]],
      [["tests/unit"], ["tests/unit"]],
      [["./tests/contract/x_test.ts"], ["./tests/contract/x_test.ts"]],
    ] as const
  ) {
    assertEquals(await plan(args, { binary: "/b" }), {
      compiled: 0,
      runs: [[Deno.execPath(), words, undefined]],
    });
  }
});
