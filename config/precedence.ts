/**
 * Which source decides the value of each flag.
 *
 * @module
 */

import type { CloudConfig } from "./cloud_config.ts";
import { type Environment, readEnvironment } from "./env.ts";
import { environmentName, type FlagSpec, type FlagValue } from "./flag_spec.ts";
import {
  AGENT_FLAGS,
  type AgentFlagName,
  type AgentFlagValues,
} from "./flags.ts";
import type { CommandLine } from "./go_flags.ts";
import { HIDDEN } from "./secret.ts";

/** The sources, the strongest first; the table's defaults come last. */
export interface SettingSources {
  readonly line: CommandLine;
  readonly env: Environment;
  readonly file: CloudConfig;
}

/** One flag with its value and source, safe to show. */
export interface SettingEntry {
  readonly flag: FlagSpec;
  /** As given; a secret is {@linkcode HIDDEN}. */
  readonly value: FlagValue;
  readonly provenance: Provenance;
}

/** The value of every flag. */
export interface ChosenValues {
  readonly values: AgentFlagValues;
  /** In the table's order. */
  readonly entries: readonly SettingEntry[];
  /** Where a flag's value is, as the beginning of a sentence. */
  where(name: AgentFlagName): string;
}

/**
 * Command line, then environment, then file, then default: the more specific
 * source wins. The file describes a fleet, the environment of a unit one host,
 * the command line one run. The file is Loden's addition; the rest is flannel's
 * order (compat 1.2).
 *
 * A repeatable flag takes all its values from one source. The environment is
 * read only for flags that are not on the command line.
 *
 * @throws {SettingsError} for a bad value in the environment.
 */
export function chooseValues(sources: SettingSources): ChosenValues {
  const values: Record<string, FlagValue> = {};
  const entries: SettingEntry[] = [];
  const provenances = new Map<string, Provenance>();
  for (const flag of AGENT_FLAGS) {
    const { value, provenance } = choose(flag, sources);
    values[flag.name] = value;
    provenances.set(flag.name, provenance);
    const shown = "secret" in flag && value !== "" ? HIDDEN : value;
    entries.push({ flag, value: shown, provenance });
  }
  return {
    // The loop gives each row a value of the row's type.
    values: values as unknown as AgentFlagValues,
    entries,
    where: (name) => describeProvenance(provenances.get(name)!, name),
  };
}

function choose(
  flag: FlagSpec,
  { line, env, file }: SettingSources,
): { value: FlagValue; provenance: Provenance } {
  const given = line.given.get(flag.name);
  if (given !== undefined) {
    const { value, spelling } = given;
    return { value, provenance: { source: "flag", detail: spelling } };
  }
  const fromEnv = readEnvironment(flag, env);
  if (fromEnv !== undefined) {
    const detail = environmentName(flag);
    return { value: fromEnv, provenance: { source: "env", detail } };
  }
  const fromFile = file.settings.find((setting) => setting.flag === flag);
  if (fromFile !== undefined) {
    const { value, detail } = fromFile;
    return { value, provenance: { source: "file", detail } };
  }
  const provenance: Provenance = { source: "default", detail: "" };
  return { value: flag.default, provenance };
}

/** The sources, the strongest first. */
export type SettingSource = "flag" | "env" | "file" | "default";

/** The source of one value, and its name there. */
export interface Provenance {
  readonly source: SettingSource;
  /**
   * As you would search for it: `--iface`, `FLANNELD_IFACE`,
   * `coreos.flannel.interface in /etc/loden.yaml`; empty for a default.
   */
  readonly detail: string;
}

/** The source as it begins a sentence: `FLANNELD_IFACE in the environment`. */
function describeProvenance(
  provenance: Provenance,
  flagName: string,
): string {
  switch (provenance.source) {
    case "flag":
      return `${provenance.detail} on the command line`;
    case "env":
      return `${provenance.detail} in the environment`;
    case "file":
      return provenance.detail;
    case "default":
      return `the default of --${flagName}`;
  }
}
