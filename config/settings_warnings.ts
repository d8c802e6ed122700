/**
 * Settings that may not do what you expect: they have no effect, or other users
 * can see them.
 *
 * @module
 */

import type { CloudConfig } from "./cloud_config.ts";
import { type Environment, unknownVariables } from "./env.ts";
import { AGENT_FLAGS, type AgentFlagName } from "./flags.ts";
import type { ChosenValues } from "./precedence.ts";

/** A setting that was accepted and is probably not what was meant. */
export interface SettingsWarning {
  /** Stable: `settings.ignored`, `settings.unknown-variable`, … */
  readonly code: string;
  /** One line for the log. */
  readonly text: string;
}

/** The input of {@linkcode collectWarnings}. */
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
    ...visiblePassword(input.chosen),
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

/** flannel silently ignores the files if the URLs are http (compat 3.9). */
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

/**
 * Every user can read `/proc/PID/cmdline` until the agent has overwritten it.
 */
function visiblePassword(chosen: ChosenValues): SettingsWarning[] {
  const entry = chosen.entries.find(({ flag }) =>
    flag.name === "etcd-password"
  );
  if (entry?.provenance.source !== "flag") return [];
  const text = `${chosen.where("etcd-password")} is visible to every user of ` +
    "this host in ps and shell histories: use --etcd-password-file";
  return [{ code: "settings.password-visible", text }];
}

function missingSection({ file, path }: WarningInput): SettingsWarning[] {
  if (file.hasSection) return [];
  const text = `${path} has no coreos.flannel section, so it sets nothing`;
  return [{ code: "settings.no-section", text }];
}

function strangeVariables(env: Environment): SettingsWarning[] {
  return unknownVariables(AGENT_FLAGS, env).map(({ name, near }) => ({
    code: "settings.unknown-variable",
    text: `${name} in the environment is not a setting and has no effect` +
      (near === undefined ? "" : `: did you mean ${near}?`),
  }));
}
