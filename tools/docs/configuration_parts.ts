/**
 * The generated parts of `docs/configuration.md`.
 *
 * @module
 */

import { toJsonSchema } from "@valibot/to-json-schema";
import { FLAG_GROUPS, type FlagSpec } from "../../config/flag_spec.ts";
import { AGENT_FLAGS } from "../../config/flags.ts";
import { describeDefault, flagForm } from "../../commands/help/help_text.ts";
import * as v from "valibot";
import type { BackendDescriptor } from "../../backend/backend_descriptor.ts";
import { BACKENDS } from "../../backend/backends.ts";
import { networkSchema } from "../../config/network/network_schema.ts";
import { code, markdownTable } from "./markdown_table.ts";

/** Each part by its name in the document. */
export function renderConfigurationParts(): Record<string, string> {
  return {
    flags: flagTables(),
    ignored: inertTable("ignored"),
    refused: inertTable("refused"),
    "network-keys": networkTable(),
  };
}

function withStatus(kind: FlagSpec["status"]["kind"]): FlagSpec[] {
  return AGENT_FLAGS.filter(({ status }) => status.kind === kind);
}

function flagTables(): string {
  return FLAG_GROUPS.map((group) => ({
    group,
    members: withStatus("active").filter((flag) => flag.group === group),
  }))
    .filter(({ members }) => members.length > 0)
    .map(({ group, members }) =>
      `### ${group}\n\n` + markdownTable(
        ["flag", "default", "from", "meaning"],
        members.map(flagRow),
      )
    )
    .join("\n");
}

function flagRow(flag: FlagSpec): string[] {
  const fallback = describeDefault(flag);
  return [
    code(flagForm(flag)),
    fallback === undefined ? "" : code(fallback),
    flag.origin,
    flag.help + describeRange(flag),
  ];
}

function describeRange(flag: FlagSpec): string {
  if (flag.type !== "int" || flag.name === "v") return "";
  return `; ${flag.min} to ${flag.max}`;
}

/** The flags that have the same reason share a row. */
function inertTable(kind: "ignored" | "refused"): string {
  const byReason = Map.groupBy(
    withStatus(kind),
    ({ status }) => status.kind === "active" ? "" : status.reason,
  );
  return markdownTable(
    ["flags", "why"],
    [...byReason].map(([reason, flags]) => [
      flags.map((flag) => code(flagForm(flag))).join(", "),
      reason,
    ]),
  );
}

interface Property {
  readonly type?: string;
  readonly const?: unknown;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Property>>;
}

function networkTable(): string {
  const { properties = {}, required = [] } = toJsonSchema(networkSchema);
  const rows = propertyRows(properties as Record<string, Property>);
  const types = BACKENDS.specs.map(({ type }) => code(JSON.stringify(type)));
  return markdownTable(
    ["key", "type", "meaning"],
    [
      ...rows.map(([key, type, meaning]) => [
        code(key!),
        type!,
        required.includes(key!) ? `${meaning}; must be given` : meaning!,
      ]),
      [
        code("Backend.Type"),
        types.join(", "),
        `how packets are carried; case does not matter (default: ${
          BACKENDS.specs[0]!.type
        })`,
      ],
      ...BACKENDS.specs.flatMap(optionRows),
    ],
  );
}

function optionRows({ options, type }: BackendDescriptor): string[][] {
  const { properties = {} } = toJsonSchema(
    v.object(options as v.ObjectEntries),
  );
  return propertyRows(properties as Record<string, Property>).map((
    [key, valueType, meaning],
  ) => [code(`Backend.${key}`), valueType!, `${type}: ${meaning}`]);
}

function propertyRows(
  properties: Readonly<Record<string, Property>>,
): string[][] {
  return Object.entries(properties).map(([key, { description, type }]) => [
    key,
    type ?? "any",
    description ?? "",
  ]);
}
