import { assert, assertEquals } from "@std/assert";
import { layout, type LayoutEntry } from "../../../../tools/dist/layout.ts";

const ROOT = new URL("../../../../", import.meta.url);

const ENTRIES = layout({
  manPage: "",
  sbom: "",
  licences: "",
  completions: { bash: "", fish: "", zsh: "" },
  documents: ["README.md"],
});

function filesUnder(directory: string): string[] {
  return [...Deno.readDirSync(new URL(directory, ROOT))].flatMap((entry) =>
    entry.isDirectory
      ? filesUnder(`${directory}${entry.name}/`)
      : [`${directory}${entry.name}`]
  );
}

function fileOf({ source }: LayoutEntry): string | undefined {
  return "file" in source ? source.file : undefined;
}

Deno.test("every file of packaging/ is installed, but for Debian's own", () => {
  const installed = ENTRIES.map(fileOf).filter((file) =>
    file?.startsWith("packaging/")
  );
  const there = filesUnder("packaging/").filter((file) =>
    !file.startsWith("packaging/debian/")
  );
  assertEquals(installed.sort(), there.sort());
});

Deno.test("no two files have one place, and all lie in /usr", () => {
  const paths = ENTRIES.map(({ path }) => path);
  assertEquals(new Set(paths).size, paths.length);
  assert(paths.every((path) => path.startsWith("usr/")));
});

Deno.test("the units start the program where it is installed", () => {
  assert(ENTRIES.some(({ path }) => path === "usr/bin/loden"));
  for (const unit of filesUnder("packaging/systemd/")) {
    const text = Deno.readTextFileSync(new URL(unit, ROOT));
    const commands = [...text.matchAll(/^Exec\w+=(\S*loden)/gm)];
    assert(commands.every(([, path]) => path === "/usr/bin/loden"), unit);
  }
});
