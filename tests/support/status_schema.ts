/**
 * The published schema of `loden status --json`.
 *
 * @module
 */

import { Validator } from "@cfworker/json-schema";

const FILE = new URL("../../docs/status.schema.json", import.meta.url);

/** What a status breaks, a line each; none if it is valid. */
export function statusFaults(status: unknown): string[] {
  const schema = JSON.parse(Deno.readTextFileSync(FILE));
  return new Validator(schema, "2020-12", false).validate(status).errors
    .map(({ error, instanceLocation }) => `${instanceLocation}: ${error}`);
}

/** Paths that the schema does not describe, of a status that is valid. */
export function undescribed(status: unknown): string[] {
  return pathsBeside(JSON.parse(Deno.readTextFileSync(FILE)), status, "");
}

interface Schema {
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
}

function pathsBeside(schema: Schema, value: unknown, path: string): string[] {
  if (typeof value !== "object" || value === null) return [];
  const [first = schema] = schema.anyOf ?? [];
  if (Array.isArray(value)) {
    return value.flatMap((item) =>
      pathsBeside(first.items ?? {}, item, `${path}[]`)
    );
  }
  const { properties } = first;
  // A record: its names are data.
  if (properties === undefined) return [];
  return Object.entries(value).flatMap(([name, part]) => {
    const at = `${path}.${name}`;
    return properties[name] === undefined
      ? [at]
      : pathsBeside(properties[name], part, at);
  });
}
