/**
 * `docs/dependencies.md` is what `deno.json` says.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { run } from "../../tools/command.ts";

const ROOT = new URL("../../", import.meta.url);

function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

const DOCUMENT = read("docs/dependencies.md");
const { imports } = JSON.parse(read("deno.json")) as {
  imports: Record<string, string>;
};

/** `npm:@scope/name@1.2.3/path`, in parts. */
function npmPackage(
  target: string,
): { name: string; version: string } | undefined {
  const match = /^npm:((?:@[^/]+\/)?[^@/]+)@([^/]+)/.exec(target);
  return match === null ? undefined : { name: match[1]!, version: match[2]! };
}

const PACKAGES = Object.values(imports).flatMap((target) =>
  npmPackage(target) ?? []
);

Deno.test("every package of deno.json has a line that says what for, who maintains it and what would replace it", () => {
  const rows = DOCUMENT.split("\n").filter((line) => line.startsWith("| `"))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const named = rows.map(([first]) => /^`([^`]+)`/.exec(first!)![1]!);
  assertEquals(
    named.sort(),
    [...new Set(PACKAGES.map(({ name }) => name))].sort(),
  );
  for (const cells of rows) {
    assertEquals(cells.length, 4);
    assert(cells.every((cell) => cell.length > 3), cells.join(" | "));
  }
});

Deno.test("every package is of one exact version, and its archive is pinned", () => {
  const lock = JSON.parse(read("deno.lock")) as {
    npm: Record<string, { integrity: string }>;
  };
  assert(PACKAGES.length > 10);
  for (const { name, version } of PACKAGES) {
    assertMatch(version, /^\d+\.\d+\.\d+$/, name);
    const [key] = Object.keys(lock.npm).filter((key) =>
      key === `${name}@${version}` || key.startsWith(`${name}@${version}_`)
    );
    assert(key !== undefined, `${name}@${version} is not in deno.lock`);
  }
  for (const [key, { integrity }] of Object.entries(lock.npm)) {
    assertMatch(integrity, /^sha512-[\w+/]{86}==$/, key);
  }
});

Deno.test("the documented command maps all of @std to JSR, and nothing else", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.copyFile(new URL("deno.json", ROOT), `${directory}/deno.json`);
    const [command] = /^sed .*$/m.exec(DOCUMENT)!;
    await run(["env", "-C", directory, "sh", "-ec", command]);
    const changed = JSON.parse(
      await Deno.readTextFile(`${directory}/deno.json`),
    ).imports as Record<string, string>;
    assertEquals(Object.keys(changed), Object.keys(imports));
    for (const [name, target] of Object.entries(changed)) {
      const [, part, path = ""] = /^@std\/([a-z]+)(\/.+)?$/.exec(name) ?? [];
      assertEquals(
        target,
        part === undefined ? imports[name] : `jsr:@std/${part}@1${path}`,
      );
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
