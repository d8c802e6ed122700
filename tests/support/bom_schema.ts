/**
 * CycloneDX's own schema, which comes with its library.
 *
 * @module
 */

import { Validator } from "@cfworker/json-schema";
import { run } from "../../tools/command.ts";

const LIBRARY = "@cyclonedx/cyclonedx-library";

/** Of CycloneDX 1.6, with the schemas that it refers to. */
export async function bomSchema(): Promise<Validator> {
  const { imports } = JSON.parse(
    await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
  );
  const specifier: string = imports[LIBRARY];
  const { npmPackages } = JSON.parse(
    await run([Deno.execPath(), "info", "--json", specifier]),
  );
  const { localPath } = npmPackages[specifier.slice("npm:".length)];
  const read = (name: string) => ({
    ...JSON.parse(
      Deno.readTextFileSync(`${localPath}/res/schema/${name}.schema.json`),
    ),
    // As the others refer to it.
    $id: `http://cyclonedx.org/schema/${name}.schema.json`,
  });
  const validator = new Validator(read("bom-1.6.SNAPSHOT"), "7", false);
  for (const name of ["spdx.SNAPSHOT", "jsf-0.82.SNAPSHOT"]) {
    validator.addSchema(read(name));
  }
  return validator;
}
