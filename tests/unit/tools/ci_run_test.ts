import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";

const ROOT = new URL("../../../", import.meta.url);
const SCRIPT = fromFileUrl(new URL(".ci/run", ROOT));

/**
 * `.ci/run` with tasks that end as given: exit codes, and the tests' output.
 * `installs`: at which attempt the downloads succeed.
 */
async function ciRun(
  checks: number,
  tests: number,
  output: string,
  installs = 1,
) {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/output`, output);
    await Deno.writeTextFile(
      `${directory}/npx`,
      `#!/bin/sh
case "$*" in
*" install --quiet") echo >>${directory}/installs
  [ $(wc -l <${directory}/installs) -eq ${installs} ]; exit ;;
*"task ok:static") exit ${checks} ;;
*"task test") cat ${directory}/output; exit ${tests} ;;
*) echo "unknown: $*"; exit 99 ;;
esac
`,
      { mode: 0o755 },
    );
    await Deno.symlink("/bin/true", `${directory}/sleep`);
    const { code, stdout } = await new Deno.Command(SCRIPT, {
      env: { PATH: `${directory}:${Deno.env.get("PATH")}`, TMPDIR: directory },
      stderr: "inherit",
    }).output();
    const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
    const installed = await Deno.readTextFile(`${directory}/installs`);
    return { code, last: lines.at(-1), attempts: installed.length };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test(".ci/run ends with the tests' totals, and counts checks that fail", async () => {
  const good = "some test ok\n12 passed, 0 failed\n";
  const bad = "some test\n9 passed, 3 failed\n";
  for (
    const [checks, tests, output, code, last] of [
      [0, 0, good, 0, "12 passed, 0 failed"],
      [0, 1, bad, 1, "9 passed, 3 failed"],
      [1, 0, good, 1, "12 passed, 1 failed"],
      [1, 1, bad, 1, "9 passed, 4 failed"],
      // It was ended by a signal, or never began.
      [0, 130, good, 1, "12 passed, 1 failed"],
      [0, 1, "cannot start", 1, "0 passed, 1 failed"],
      [0, 0, "0 passed, 0 failed\n", 1, "0 passed, 0 failed"],
      // A test that prints totals is not taken for the suite.
      [0, 1, `${good}panic\n`, 1, "0 passed, 1 failed"],
    ] as const
  ) {
    assertEquals(await ciRun(checks, tests, output), {
      code,
      last,
      attempts: 1,
    });
  }
});

Deno.test(".ci/run repeats downloads that fail, and goes on in any case: the tests say what is missing", async () => {
  const last = "12 passed, 0 failed";
  for (const [installs, attempts] of [[2, 2], [3, 3], [4, 3]] as const) {
    const result = await ciRun(0, 0, `${last}\n`, installs);
    assertEquals(result, { code: 0, last, attempts });
  }
});

Deno.test(".ci/run runs the tests with the command that the README names", async () => {
  const command = /^ *(npx -y deno@\S+ task test)\b/m;
  const script = await Deno.readTextFile(SCRIPT);
  const readme = await Deno.readTextFile(new URL("README.md", ROOT));
  const found = command.exec(readme)?.[1];
  assert(found !== undefined, "the README has no test command");
  assertEquals(command.exec(script)?.[1], found);
});
