import { assert, assertEquals } from "@std/assert";
import {
  importsOf,
  importViolations,
  readSources,
  unusedFiles,
} from "../../../tools/check_imports.ts";

const file = (path: string, ...imports: string[]) => ({
  path,
  text: imports.map((name) => `import { x } from "${name}";\n`).join(""),
});

Deno.test("imports go one way through all sources of the project", () => {
  const sources = readSources(new URL("../../../", import.meta.url));
  assert(sources.some(({ path }) => path === "agent/agent.ts"));
  assert(sources.some(({ path }) => path === "cli.ts"));
  assertEquals(importViolations(sources), []);
  assertEquals(unusedFiles(sources), []);
});

Deno.test("a file of the product that only tests import is a finding", () => {
  assertEquals(
    unusedFiles([
      file("cli.ts", "./agent/a.ts"),
      file("agent/a.ts"),
      file("agent/b.ts"),
      file("tests/unit/b_test.ts", "../../agent/b.ts"),
    ]),
    ["agent/b.ts is imported by no file of the product"],
  );
});

Deno.test("every form of import is seen, and none in a comment or of a package", () => {
  const text = `/**
 * import { no } from "./comment.ts";
 */
import { a } from "../net/a.ts";
import type { B } from "./b.ts";
import {
  c,
  type D,
} from "./sub/c.ts";
import * as e from "./e.ts";
import "./f.ts";
import package from "etcd3";
import json from "./data.json" with { type: "json" };
export { g } from "./g.ts";
export * from "./h.ts";
export const text = "from here";
const i = await import("./i.ts");
const j: import("./j.ts").J = i;
new Worker(new URL("./k.ts", import.meta.url), { type: "module" });
`;
  const imports = importsOf({ path: "lease/x.ts", text });
  assertEquals(imports, [
    "net/a.ts",
    "lease/b.ts",
    "lease/sub/c.ts",
    "lease/e.ts",
    "lease/f.ts",
    "lease/g.ts",
    "lease/h.ts",
    "lease/k.ts",
    "lease/i.ts",
    "lease/j.ts",
  ]);
});

Deno.test("what builds a release reaches no test, also not by way of another tool", () => {
  assertEquals(
    importViolations([
      file("tools/compile.ts", "./other.ts"),
      file("tools/other.ts", "../tests/rig/a.ts"),
      file("tools/demo.ts", "../tests/rig/a.ts"),
    ]),
    ["tools/other.ts imports tests/rig/a.ts: it builds a release"],
  );
});

Deno.test("AssemblyScript's names without extension are files too", () => {
  const source = file("backend/wasm/a.as.ts", "../layout", "./b.as");
  assertEquals(importsOf(source), [
    "backend/layout.ts",
    "backend/wasm/b.as.ts",
  ]);
});

Deno.test("a lower part that imports a higher one breaks the rule", () => {
  assertEquals(importViolations([file("net/a.ts", "../linux/b.ts")]), [
    "net/a.ts imports linux/b.ts: net stands below linux",
  ]);
  assertEquals(importViolations([file("linux/b.ts", "../net/a.ts")]), []);
});

Deno.test("parts of one row do not know each other", () => {
  assertEquals(importViolations([file("lease/a.ts", "../backend/b.ts")]), [
    "lease/a.ts imports backend/b.ts: lease and backend stand side by side",
  ]);
});

Deno.test("the product does not import its tests, and its tests import all", () => {
  assertEquals(importViolations([file("agent/a.ts", "../tests/b.ts")]), [
    "agent/a.ts imports tests/b.ts: tests is not part of the product",
  ]);
  assertEquals(importViolations([file("tests/b.ts", "../agent/a.ts")]), []);
});

Deno.test("a folder without a place is a finding", () => {
  assertEquals(importViolations([file("agent/a.ts", "../util/b.ts")]), [
    "agent/a.ts imports util/b.ts: util has no place in the order of parts",
  ]);
});

Deno.test("files that import each other in a circle are a finding", () => {
  assertEquals(
    importViolations([
      file("net/a.ts", "./b.ts"),
      file("net/b.ts", "./c.ts"),
      file("net/c.ts", "./b.ts"),
    ]),
    ["circle: net/b.ts -> net/c.ts -> net/b.ts"],
  );
});

Deno.test("rooms of a part do not import each other in a circle, also by other files", () => {
  assertEquals(
    importViolations([
      file("agent/a/x.ts", "../b/y.ts"),
      file("agent/b/y.ts"),
      file("agent/b/z.ts", "../a/v.ts", "../run.ts"),
      file("agent/a/v.ts"),
      // A part's own files may know its rooms.
      file("agent/run.ts", "./a/x.ts"),
    ]),
    ["circle: agent/a -> agent/b -> agent/a"],
  );
});

Deno.test("a lazy import is held to both rules", () => {
  const lazy = { path: "net/a.ts", text: 'const b = import("./b.ts");\n' };
  assertEquals(importViolations([lazy, file("net/b.ts", "./a.ts")]), [
    "circle: net/a.ts -> net/b.ts -> net/a.ts",
  ]);
  assertEquals(
    importViolations([{ path: "net/a.ts", text: 'import("../agent/b.ts");' }]),
    ["net/a.ts imports agent/b.ts: net stands below agent"],
  );
});
