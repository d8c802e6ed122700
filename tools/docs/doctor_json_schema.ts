/**
 * The published JSON Schema of `loden doctor --json`.
 *
 * @module
 */

import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { SEVERITIES } from "../../commands/doctor/finding.ts";

const doctorSchema = v.looseObject({
  schema: v.literal(1),
  version: v.string(),
  findings: v.pipe(
    v.array(v.looseObject({
      code: v.pipe(
        v.string(),
        v.description("docs/doctor.md lists them; later versions add some"),
      ),
      severity: v.picklist(SEVERITIES),
      what: v.pipe(v.string(), v.description("what was looked at")),
      value: v.pipe(v.string(), v.description("what was found")),
      fix: v.pipe(
        v.nullable(v.string()),
        v.description("what to do, a command where there is one"),
      ),
    })),
    v.description("the worst last"),
  ),
});

/** The schema as JSON text. Its objects are loose: later versions add fields. */
export function renderDoctorSchema(): string {
  const schema = {
    ...toJsonSchema(doctorSchema, { target: "draft-2020-12" }),
    title: "Output of loden doctor --json",
    description: "While schema is 1, fields and codes are only added.",
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}
