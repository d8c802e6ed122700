import { assertEquals } from "@std/assert";
import {
  type LicensedPackage,
  renderSbom,
} from "../../../../tools/dist/sbom.ts";

const SUBJECT = {
  version: "1.2.3",
  runtime: { denoVersion: "2.0.0", recovered: undefined },
};
const RECOVERED = {
  denoVersion: "2.0.0",
  origin: "recovered from npm:x@1.0.0",
  npmPackage: "x@1.0.0",
  sha256: "ab".repeat(32),
};

function licensed(
  name: string,
  licence: string,
  dependencies: string[] = [],
): LicensedPackage {
  return {
    name,
    version: "1.0.0",
    sha512: new Uint8Array(64).fill(7).toBase64(),
    dependencies,
    directory: "",
    licence,
  };
}

const PACKAGES = new Map([
  ["@scope/a@1.0.0", licensed("@scope/a", "MIT", ["b@1.0.0"])],
  ["b@1.0.0", licensed("b", "(BSD-3-Clause OR Apache-2.0)")],
]);

Deno.test("the bill of materials names each package with its version, licence, hash and dependencies", () => {
  const { components, dependencies, metadata } = JSON.parse(
    renderSbom(SUBJECT, PACKAGES),
  );
  assertEquals(metadata.component.version, "1.2.3");
  assertEquals(
    components.map(({ purl }: { purl: string }) => purl).sort(),
    [
      "pkg:github/denoland/deno@v2.0.0",
      "pkg:npm/%40scope/a@1.0.0",
      "pkg:npm/b@1.0.0",
    ],
  );
  const find = (name: string) =>
    components.find((each: { name: string }) => each.name === name);
  assertEquals(find("a").group, "@scope");
  assertEquals(find("a").licenses, [{ license: { id: "MIT" } }]);
  assertEquals(find("a").hashes, [
    { alg: "SHA-512", content: "07".repeat(64) },
  ]);
  assertEquals(find("b").licenses, [
    { expression: "(BSD-3-Clause OR Apache-2.0)" },
  ]);
  assertEquals(
    dependencies.find(({ ref }: { ref: string }) => ref === "@scope/a@1.0.0"),
    { ref: "@scope/a@1.0.0", dependsOn: ["b@1.0.0"] },
  );
});

Deno.test("the same sources give the same bytes", () => {
  assertEquals(renderSbom(SUBJECT, PACKAGES), renderSbom(SUBJECT, PACKAGES));
});

Deno.test("the bill of materials says which runtime is inside, and where a recovered one is from", () => {
  const deno = (subject: object) => {
    const { components } = JSON.parse(
      renderSbom({ ...SUBJECT, ...subject }, PACKAGES),
    );
    return components.find(({ name }: { name: string }) => name === "deno");
  };
  assertEquals(deno({}).description, "denort, official");
  assertEquals(deno({}).hashes, undefined);
  const { description, hashes } = deno({
    runtime: { denoVersion: "2.0.0", recovered: RECOVERED },
  });
  assertEquals(description, "denort, recovered from npm:x@1.0.0");
  assertEquals(hashes, [{ alg: "SHA-256", content: RECOVERED.sha256 }]);
});
