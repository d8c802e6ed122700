/**
 * Reads the secrets of this host that Loden can know, so that the bundle can be
 * searched for them.
 *
 * What cannot be read here cannot be in the bundle by way of Loden either: the
 * bundle is made by the same user.
 *
 * @module
 */

import type { Settings } from "../../config/settings.ts";
import { parseDotenv } from "../../linux/dotenv.ts";
import {
  ENVIRONMENT_FILES,
  parseEnvironmentFile,
} from "../environment_files.ts";
import { Secrets } from "./secrets.ts";

/** What may know some. */
export interface SecretSources {
  readonly env: Readonly<Record<string, string>>;
  readonly argv: readonly string[];
  /** Of the agent, if it runs. */
  readonly agentEnv: Readonly<Record<string, string>>;
  readonly agentWords: readonly string[];
  /** The command's, and the agent's. */
  readonly settings: readonly Settings[];
  /** With saved states, records and keys of all networks. */
  readonly directories: readonly string[];
}

export async function findSecrets(sources: SecretSources): Promise<Secrets> {
  const secrets = new Secrets();
  secrets.addVariables(Object.entries(sources.env));
  secrets.addVariables(Object.entries(sources.agentEnv));
  secrets.addWords(sources.argv);
  secrets.addWords(sources.agentWords);
  for (const path of ENVIRONMENT_FILES) {
    const text = await textOf(path);
    secrets.addVariables(parseEnvironmentFile(text));
    // As the file's author may have meant it.
    secrets.addVariables(parseDotenv(text));
  }
  for (const settings of sources.settings) await addSettings(secrets, settings);
  for (const directory of new Set(sources.directories)) {
    for (const path of filesIn(directory)) {
      const text = await textOf(path);
      secrets.addJson(text);
      if (path.endsWith(".key")) secrets.addKeyFile(text);
    }
  }
  return secrets;
}

async function addSettings(
  secrets: Secrets,
  settings: Settings,
): Promise<void> {
  secrets.addUser(settings.etcdUsername);
  secrets.add(settings.etcdPassword.reveal());
  const { etcdKeyFile, etcdPasswordFile, onSubnetChange } = settings;
  if (etcdPasswordFile !== "") secrets.add(await textOf(etcdPasswordFile));
  if (etcdKeyFile !== "") secrets.add(await textOf(etcdKeyFile));
  if (onSubnetChange.kind === "run") {
    secrets.addCommand(onSubnetChange.command);
  }
}

function filesIn(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)]
      .filter(({ isFile, name }) => isFile && /\.(?:json|key)\b/.test(name))
      .map(({ name }) => `${directory}/${name}`);
  } catch (error) {
    if (isUnreadable(error)) return [];
    throw error;
  }
}

/** A device or a log file named by mistake is larger. */
const LARGEST_BYTES = 16 * 1024 * 1024;

async function textOf(path: string): Promise<string> {
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile || size > LARGEST_BYTES) return "";
    return await Deno.readTextFile(path);
  } catch (error) {
    if (isUnreadable(error)) return "";
    throw error;
  }
}

/** Absent, not this user's, or no file: nothing of it gets into the bundle. */
function isUnreadable(error: unknown): boolean {
  return error instanceof Error && "code" in error;
}
