/**
 * What was set and has no effect.
 *
 * @module
 */

import type { CloudConfig } from "./cloud_config.ts";
import { type Environment, unknownVariables } from "./env.ts";
import { AGENT_FLAGS, type AgentFlagName } from "./flags.ts";
import type { ChosenValues } from "./precedence.ts";

/** Something that was accepted and has no effect. */
export interface SettingsWarning {
  /** Stable: `settings.ignored`, `settings.unknown-variable`, … */
  readonly code: string;
  /** One line for the log. */
  readonly text: string;
}

/** What the warnings are about. */
export interface WarningInput {
  readonly chosen: ChosenValues;
  readonly env: Environment;
  readonly file: CloudConfig;
  /** The file's path. */
  readonly path: string;
}

/** All of them, in a fixed order. */
export function collectWarnings(input: WarningInput): SettingsWarning[] {
  return [
    ...ignoredFlags(input.chosen),
    ...tlsWithoutHttps(input.chosen),
    ...missingSection(input),
    ...strangeVariables(input.env),
  ];
}

function ignoredFlags(chosen: ChosenValues): SettingsWarning[] {
  return chosen.entries.flatMap(({ flag, value }) => {
    if (flag.status.kind !== "ignored" || value === flag.default) return [];
    const where = chosen.where(flag.name as AgentFlagName);
    const text = `${where} has no effect: ${flag.status.reason}`;
    return [{ code: "settings.ignored", text }];
  });
}

/** flannel drops the files without a word when the URLs are http (compat 3.9). */
function tlsWithoutHttps(chosen: ChosenValues): SettingsWarning[] {
  const { values } = chosen;
  if (/https:\/\//i.test(values["etcd-endpoints"])) return [];
  return (["etcd-cafile", "etcd-certfile", "etcd-keyfile"] as const)
    .filter((name) => values[name] !== "")
    .map((name) => ({
      code: "settings.tls-unused",
      text: `${chosen.where(name)} has no effect: no URL in ` +
        `${chosen.where("etcd-endpoints")} is https`,
    }));
}

function missingSection({ file, path }: WarningInput): SettingsWarning[] {
  if (file.hasSection) return [];
  const text = `${path} has no coreos.flannel section, so it sets nothing`;
  return [{ code: "settings.no-section", text }];
}

function strangeVariables(env: Environment): SettingsWarning[] {
  return unknownVariables(AGENT_FLAGS, env).map(({ name, near }) => ({
    code: "settings.unknown-variable",
    text: `${name} in the environment is no setting and has no effect` +
      (near === undefined ? "" : `: did you mean ${near}?`),
  }));
}
