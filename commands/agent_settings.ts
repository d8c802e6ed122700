/**
 * The settings that an operator asks about: those that the agent has, or would
 * have.
 *
 * @module
 */

import { resolveSettings, type Settings } from "../config/settings.ts";
import { type AgentProcess, settingsOf } from "./agent_process.ts";
import {
  ENVIRONMENT_FILES,
  parseEnvironmentFile,
} from "./environment_files.ts";

/** Settings, and where they are from. */
export interface ChosenSettings {
  readonly settings: Settings;
  /** `undefined`: the command's own command line and environment. */
  readonly source: string | undefined;
  /** Variables that have changed in the unit's files since the agent started. */
  readonly changed: readonly string[];
}

/** What is looked at. */
export interface SettingsHost {
  readonly findAgent: (
    settings: Settings,
  ) => Promise<AgentProcess | undefined>;
  /** `undefined`: it is not there, or may not be read. */
  readonly readText: (path: string) => string | undefined;
}

const UNIT = "loden.service";
/** Where the unit may be. */
const UNITS = ["/etc", "/usr/lib", "/lib"].map((directory) =>
  `${directory}/systemd/system/${UNIT}`
);
/** Of the unit's command line. */
const UNIT_WORDS = ["--ip-masq=true"];

/** They say which agent is meant, not how it works. */
const SELECTING = ["etcd-prefix", "run-dir"];

/**
 * The command's own, if it has any of the agent's settings. Otherwise the
 * running agent's are taken, or those with which its unit would start it.
 *
 * @throws {SettingsError} for a value with which the unit would not start it.
 */
export async function chooseSettings(
  own: Settings,
  { findAgent, readText }: SettingsHost,
): Promise<ChosenSettings> {
  const given = own.entries.filter(({ provenance }) =>
    provenance.source !== "default"
  ).map(({ flag }) => flag.name);
  if (given.some((name) => !SELECTING.includes(name))) {
    return { settings: own, source: undefined, changed: [] };
  }
  const agent = await findAgent(own);
  if (agent !== undefined) {
    const settings = await settingsOf(agent);
    if (settings !== undefined) {
      return {
        settings,
        source: `process ${agent.pid}, the running agent`,
        changed: changedSince(agent, readText),
      };
    }
  } else if (given.length === 0) {
    const unit = UNITS.find((path) => readText(path) !== undefined);
    if (unit !== undefined) {
      const settings = await resolveSettings({
        argv: UNIT_WORDS,
        env: unitEnvironment(readText),
        readFile: (path) => Deno.readTextFile(path),
      });
      return { settings, source: `${unit} and its files`, changed: [] };
    }
  }
  return { settings: own, source: undefined, changed: [] };
}

/** What the files set takes effect at the next start only. */
function changedSince(
  { env, unit }: AgentProcess,
  readText: SettingsHost["readText"],
): string[] {
  if (unit !== UNIT) return [];
  return Object.entries(unitEnvironment(readText))
    .filter(([name, value]) =>
      name.startsWith("FLANNELD_") && (env[name] ?? "") !== value
    )
    .map(([name]) => name);
}

function unitEnvironment(
  readText: SettingsHost["readText"],
): Record<string, string> {
  return Object.fromEntries(
    ENVIRONMENT_FILES.flatMap((path) => [
      ...parseEnvironmentFile(readText(path) ?? ""),
    ]),
  );
}
