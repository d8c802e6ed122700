/**
 * `loden config show`: every setting, its value and where it came from.
 *
 * @module
 */

import type { FlagValue } from "../../config/flag_spec.ts";
import type { SettingEntry } from "../../config/precedence.ts";
import type { SettingsWarning } from "../../config/settings_warnings.ts";

/** The part of the settings that the command shows. */
export interface ShownSettings {
  readonly entries: readonly SettingEntry[];
  readonly warnings: readonly SettingsWarning[];
}

/** The form of `loden config show --json`; `schema` grows when a field changes. */
export interface SettingsReport {
  readonly schema: 1;
  /** Whose settings they are; `null`: those that the command was given. */
  readonly of: string | null;
  readonly settings: Readonly<
    Record<string, {
      readonly value: FlagValue;
      readonly source: string;
      readonly detail: string;
    }>
  >;
  readonly warnings: readonly SettingsWarning[];
}

/**
 * Three columns for people, then the warnings, lines ended by LF. Flags without
 * effect are omitted unless they were given.
 *
 * @param of Whose settings they are; not said if the command was given them.
 */
export function renderSettings(settings: ShownSettings, of?: string): string {
  const rows = settings.entries.filter(isShown).map((entry) => [
    entry.flag.name,
    renderValue(entry.value),
    renderSource(entry),
  ]);
  const lines = alignColumns([["SETTING", "VALUE", "FROM"], ...rows]);
  if (of !== undefined) lines.unshift(`settings of ${of}`);
  for (const { text } of settings.warnings) lines.push(`warning: ${text}`);
  return lines.map((line) => `${line}\n`).join("");
}

/** The same as JSON. */
export function reportSettings(
  settings: ShownSettings,
  of?: string,
): SettingsReport {
  const shown = settings.entries.filter(isShown);
  return {
    schema: 1,
    of: of ?? null,
    settings: Object.fromEntries(
      shown.map(({ flag, value, provenance: { source, detail } }) => [
        flag.name,
        { value, source, detail },
      ]),
    ),
    warnings: settings.warnings,
  };
}

function isShown({ flag, provenance }: SettingEntry): boolean {
  return !flag.commandLineOnly &&
    (flag.status.kind === "active" || provenance.source !== "default");
}

function renderValue(value: FlagValue): string {
  if (Array.isArray(value)) return value.length === 0 ? "-" : value.join(" ");
  return value === "" ? "-" : String(value);
}

function renderSource({ provenance }: SettingEntry): string {
  const { source, detail } = provenance;
  switch (source) {
    case "flag":
      return `command line: ${detail}`;
    case "env":
      return `environment: ${detail}`;
    case "file":
      return `file: ${detail}`;
    case "default":
      return "default";
  }
}

function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) =>
    Math.max(...rows.map((row) => row[column]!.length))
  );
  return rows.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd()
  );
}
