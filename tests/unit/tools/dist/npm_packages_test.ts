import { assertEquals, assertThrows } from "@std/assert";
import { DistError } from "../../../../tools/dist/errors.ts";
import {
  embeddedPackages,
  type LockFile,
  type ModuleGraph,
} from "../../../../tools/dist/npm_packages.ts";

function node(name: string, dependencies: string[] = []) {
  return { name, version: "1.0.0", dependencies, localPath: `/cache/${name}` };
}

const GRAPH: ModuleGraph = {
  modules: [{}, { npmPackage: "b@1.0.0" }, { npmPackage: "b@1.0.0" }],
  npmPackages: {
    "a@1.0.0": node("a", ["b@1.0.0"]),
    "b@1.0.0": node("b", ["c@1.0.0"]),
    "c@1.0.0": node("c"),
    "tool@1.0.0": node("tool"),
  },
};
const LOCK: LockFile = {
  npm: {
    "a@1.0.0": { integrity: "sha512-AA==" },
    "b@1.0.0": { integrity: "sha512-Ag==" },
    "c@1.0.0": { integrity: "sha512-Aw==" },
    "tool@1.0.0": { integrity: "sha512-BA==" },
  },
};

Deno.test("what the product imports is embedded, and what that depends on", () => {
  const found = embeddedPackages(
    { ...GRAPH, modules: [{ npmPackage: "a@1.0.0" }] },
    LOCK,
  );
  assertEquals([...found.keys()], ["a@1.0.0", "b@1.0.0", "c@1.0.0"]);
  assertEquals(found.get("c@1.0.0"), {
    name: "c",
    version: "1.0.0",
    sha512: "Aw==",
    dependencies: [],
    directory: "/cache/c",
  });
});

Deno.test("what only tools and tests import is not", () => {
  assertEquals([...embeddedPackages(GRAPH, LOCK).keys()], [
    "b@1.0.0",
    "c@1.0.0",
  ]);
});

Deno.test("a package that the lock file does not know is refused", () => {
  const { "c@1.0.0": _, ...npm } = LOCK.npm;
  assertThrows(
    () => embeddedPackages(GRAPH, { npm }),
    DistError,
    "c@1.0.0 must be in deno.lock",
  );
});
