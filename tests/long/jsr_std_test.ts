/**
 * The sources fit the standard library of JSR, as far as that can be said without
 * JSR: by declarations of what its packages export.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { attempt } from "../../tools/command.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));

interface Project {
  readonly imports: Record<string, string>;
  readonly compilerOptions: unknown;
  readonly tasks: { readonly check: string };
  readonly unstable: readonly string[];
}

/** `@std/cli/parse-args` is declared in `cli_parse_args.ts`. */
function declarationOf(name: string): string {
  const file = name.slice("@std/".length).replaceAll(/[/-]/g, "_");
  // What is imported by its parts is declared as a whole.
  return file.startsWith("async_") ? "async" : file;
}

/** Checks the types of files with `@std/…` from the declarations. */
async function check(files: readonly string[]) {
  const directory = await Deno.makeTempDir();
  try {
    const project = JSON.parse(
      await Deno.readTextFile(`${ROOT}deno.json`),
    ) as Project;
    const imports = Object.fromEntries(
      Object.entries(project.imports).map(([name, target]) => [
        name,
        name.startsWith("@std/")
          ? `${ROOT}tests/support/jsr_std/${declarationOf(name)}.ts`
          : target,
      ]),
    );
    const config = `${directory}/deno.json`;
    const { compilerOptions, unstable } = project;
    await Deno.writeTextFile(
      config,
      JSON.stringify({ imports, compilerOptions, unstable }),
    );
    return await attempt([
      ...[Deno.execPath(), "check", "--quiet", "--no-lock"],
      ...[`--config=${config}`, ...files],
    ]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** What `deno task check` checks. */
async function allSources(): Promise<string[]> {
  const { tasks } = JSON.parse(
    await Deno.readTextFile(`${ROOT}deno.json`),
  ) as Project;
  const [, words] = /deno check --quiet (.*)$/.exec(tasks.check)!;
  const { stdout } = await attempt([
    ...["env", "-C", ROOT, "sh", "-c"],
    `for each in ${words}; do echo "$PWD/$each"; done`,
  ]);
  return stdout.trimEnd().split("\n");
}

Deno.test("all sources have the types that the standard library of JSR asks for", async () => {
  const files = await allSources();
  assert(files.length > 10);
  const { exitCode, stderr } = await check(files);
  assertEquals([exitCode, stderr], [0, ""]);
});

Deno.test("a source that does not fit is found", async () => {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      file,
      'import { delay } from "@std/async/delay";\nawait delay("1 s");\n',
    );
    const { exitCode, stderr } = await check([file]);
    assertEquals(exitCode, 1);
    assertStringIncludes(stderr, "TS2345");
  } finally {
    await Deno.remove(file);
  }
});
