import { assertEquals } from "@std/assert";
import { type Compiled, planRuns } from "../../../../tools/test/plan.ts";

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

Deno.test("without arguments all tests run on a fresh binary, and what runs no agent in its Deno too", async () => {
  assertEquals(await plan([]), {
    compiled: 1,
    runs: [
      [Deno.execPath(), ["tests/"], "/dist/loden"],
      [
        "/cache/deno",
        ["--no-check", "--frozen", "tests/unit/", "tests/contract/"],
        "/dist/loden",
      ],
    ],
  });
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
