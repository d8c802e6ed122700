import { Validator } from "@cfworker/json-schema";
import { assert, assertEquals } from "@std/assert";
import {
  type LicensedPackage,
  renderSbom,
} from "../../../../tools/dist/sbom.ts";

const LIBRARY = "npm:@cyclonedx/cyclonedx-library";
const SUBJECT = { version: "1.2.3", denoVersion: "2.0.0" };

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

/** CycloneDX's own schema, which comes with its library. */
async function bomSchema(): Promise<Validator> {
  const { imports } = JSON.parse(
    Deno.readTextFileSync(new URL("../../../../deno.json", import.meta.url)),
  );
  const specifier = imports[LIBRARY.slice("npm:".length)];
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", specifier],
  }).output();
  const { npmPackages } = JSON.parse(new TextDecoder().decode(stdout));
  const { localPath } = npmPackages[specifier.slice("npm:".length)];
  const read = (name: string) => ({
    ...JSON.parse(
      Deno.readTextFileSync(`${localPath}/res/schema/${name}.schema.json`),
    ),
    $id: `http://cyclonedx.org/schema/${name}.schema.json`,
  });
  const validator = new Validator(read("bom-1.6.SNAPSHOT"), "7", false);
  for (const name of ["spdx.SNAPSHOT", "jsf-0.82.SNAPSHOT"]) {
    validator.addSchema(read(name));
  }
  return validator;
}

Deno.test("the bill of materials is CycloneDX 1.6, as its own schema says", async () => {
  const schema = await bomSchema();
  const bom = JSON.parse(renderSbom(SUBJECT, PACKAGES));
  assertEquals(schema.validate(bom).errors, []);
  bom.components[0].licenses[0].license = { id: "no licence" };
  assert(!schema.validate(bom).valid);
});

Deno.test("it names each package with its version, licence, hash and dependencies", () => {
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
