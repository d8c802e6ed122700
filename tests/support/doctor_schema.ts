/**
 * The published schema of `loden doctor --json`.
 *
 * @module
 */

import { Validator } from "@cfworker/json-schema";

const FILE = new URL("../../docs/doctor.schema.json", import.meta.url);

/** What an output breaks, a line each; none if it is valid. */
export function doctorFaults(output: unknown): string[] {
  const schema = JSON.parse(Deno.readTextFileSync(FILE));
  return new Validator(schema, "2020-12", false).validate(output).errors
    .map(({ error, instanceLocation }) => `${instanceLocation}: ${error}`);
}
