import { assertEquals, assertThrows } from "@std/assert";
import {
  aliasesOf,
  importsUsedBy,
} from "../../../../tools/compile/npm_packages.ts";

const IMPORTS = {
  "@grpc/grpc-js": "npm:@grpc/grpc-js@1.12.6",
  "@std/yaml": "npm:deno-std@1.4.0/yaml/mod.js",
  etcd3: "npm:etcd3@1.1.2",
  esbuild: "npm:esbuild@0.28.1",
};

Deno.test("a package belongs to the program when a source names it, or a file of it", () => {
  const sources = [
    { path: "a.ts", text: 'import { Host } from "etcd3/lib/pool.js";' },
    { path: "b.ts", text: 'const yaml = await import("@std/yaml");' },
    { path: "c.ts", text: "// esbuild is only spoken of" },
  ];
  assertEquals(Object.keys(importsUsedBy(sources, IMPORTS)), [
    "@std/yaml",
    "etcd3",
  ]);
});

Deno.test("only names that are not the package's own have an alias", () => {
  assertEquals(aliasesOf(IMPORTS), { "@std/yaml": "deno-std/yaml/mod.js" });
});

Deno.test("what is not of npm cannot be bundled, and is named", () => {
  assertThrows(
    () => aliasesOf({ "@std/yaml": "jsr:@std/yaml@1" }),
    TypeError,
    "@std/yaml",
  );
});
