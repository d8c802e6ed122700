/**
 * Settings from the file of `--config`: a cloud-config whose `coreos.flannel.*`
 * keys are flags (compat 5).
 *
 * @module
 */

import {
  ENVIRONMENT_FILE,
  fillAddresses,
  namesAddress,
} from "./address_variables.ts";
import type { Environment } from "./env.ts";
import { badValueError, CloudConfigError } from "./errors.ts";
import type { FlagSpec, FlagValue } from "./flag_spec.ts";
import { parseFlagValue } from "./flag_value.ts";
import { nearMatch } from "./near_match.ts";
import { parseCloudConfigYaml } from "./cloud_config_yaml.ts";

/** Reads a text file; rejects with `Deno.errors.NotFound` when there is none. */
export type ReadTextFile = (path: string) => Promise<string>;

/** A value that the file sets. */
export interface FileSetting {
  readonly flag: FlagSpec;
  readonly value: FlagValue;
  /** `coreos.flannel.interface in /etc/loden.yaml`. */
  readonly detail: string;
}

/** The content of the file. */
export interface CloudConfig {
  readonly settings: readonly FileSetting[];
  /** Whether it has a `coreos.flannel` section at all. */
  readonly hasSection: boolean;
}

/** The input of {@linkcode readCloudConfig}. */
export interface CloudConfigInput {
  readonly path: string;
  readonly flags: readonly FlagSpec[];
  readonly env: Environment;
  readonly readFile: ReadTextFile;
}

/** The only key that is not named like its flag. */
const ALIASES: Readonly<Record<string, string>> = { interface: "iface" };

/**
 * The key of a flag under `coreos.flannel`, as coreos-cloudinit writes it (it
 * also takes `-` for `_`); `undefined` when the flag has none.
 */
export function cloudConfigKey(flag: FlagSpec): string | undefined {
  if (flag.commandLineOnly || flag.name === "config") return undefined;
  if (flag.name === "iface") return "interface";
  return flag.name.replaceAll("-", "_");
}

/**
 * Reads the file. Everything outside `coreos.flannel` is ignored. Values keep
 * their text (`0x10`, `yes`), so that they mean the same as on the command
 * line.
 *
 * @throws {CloudConfigError} for a missing file, invalid YAML, an unknown or
 * repeated key, or an unknown address variable.
 * @throws {SettingsError} for a bad value.
 */
export async function readCloudConfig(
  input: CloudConfigInput,
): Promise<CloudConfig> {
  const section = findSection(await parseYaml(input), input.path);
  if (section === undefined) return { settings: [], hasSection: false };
  const environmentFile = namesAddress(JSON.stringify(section))
    ? await readEnvironmentFile(input.readFile)
    : "";
  const settings: FileSetting[] = [];
  for (const [key, node] of Object.entries(section)) {
    // `key:` without a value and an empty text set nothing.
    if (node === null || node === "") continue;
    const flag = findFlag(key, input);
    const detail = `coreos.flannel.${key} in ${input.path}`;
    if (settings.some((setting) => setting.flag === flag)) {
      throw new CloudConfigError(
        "cloud-config.repeated-key",
        `Cannot read the settings: --${flag.name} must be set once: ` +
          `${detail} repeats it in another spelling`,
        { hint: "remove one of the two" },
      );
    }
    const texts = textsOf(node, flag, detail).map((text) =>
      fillIn(text, detail, input.env, environmentFile)
    );
    settings.push({ flag, detail, value: valueOf(flag, texts, detail) });
  }
  return { settings, hasSection: true };
}

async function parseYaml(
  { path, readFile }: CloudConfigInput,
): Promise<unknown> {
  let content: string;
  try {
    content = await readFile(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CloudConfigError(
      "cloud-config.unreadable",
      `Cannot read the settings: the cloud-config file must be readable: ` +
        `${path}: ${reason}`,
      { cause, hint: "name a file that exists and that this user may read" },
    );
  }
  return await parseCloudConfigYaml(content, path);
}

type Mapping = Readonly<Record<string, unknown>>;

function findSection(document: unknown, path: string): Mapping | undefined {
  const root = asMapping(document, "the whole file", path);
  const coreos = asMapping(root?.["coreos"], "coreos", path);
  return asMapping(coreos?.["flannel"], "coreos.flannel", path);
}

/** `undefined` for a key that is missing or has no value. */
function asMapping(
  node: unknown,
  name: string,
  path: string,
): Mapping | undefined {
  if (node === undefined || node === null || node === "") return undefined;
  if (typeof node !== "object" || Array.isArray(node)) {
    throw notMapping(name, path);
  }
  return node as Mapping;
}

function notMapping(name: string, path: string): CloudConfigError {
  return new CloudConfigError(
    "cloud-config.shape",
    `Cannot read the settings: ${name} in ${path} must be a mapping of keys ` +
      `to values`,
    { hint: "see docs/configuration.md for an example" },
  );
}

function findFlag(key: string, { flags, path }: CloudConfigInput): FlagSpec {
  const spelled = key.replaceAll("-", "_");
  const name = ALIASES[spelled] ?? spelled;
  const keyed = flags.filter((flag) => cloudConfigKey(flag) !== undefined);
  const flag = keyed.find((flag) => flag.name.replaceAll("-", "_") === name);
  if (flag !== undefined) return flag;
  const near = nearMatch(key, keyed.map((flag) => cloudConfigKey(flag)!));
  throw new CloudConfigError(
    "cloud-config.unknown-key",
    `Cannot read the settings: ${path} has an unknown key coreos.flannel.${key}`,
    {
      hint: near === undefined
        ? "see docs/configuration.md for the keys"
        : `did you mean ${near}?`,
    },
  );
}

function textsOf(node: unknown, flag: FlagSpec, detail: string): string[] {
  if (typeof node === "string") return [node];
  const list = flag.type === "list";
  if (list && Array.isArray(node)) {
    const texts = node.filter((item) => typeof item === "string");
    if (texts.length === node.length) {
      return texts.filter((text) => text !== "");
    }
  }
  throw badValueError({
    where: detail,
    rule: list ? "one value or a list of values" : "one value",
    current: flag.secret ? undefined : node,
    hint: "see docs/configuration.md for an example",
  });
}

function fillIn(
  text: string,
  detail: string,
  env: Environment,
  environmentFile: string,
): string {
  const filled = fillAddresses(text, env, environmentFile);
  if ("text" in filled) return filled.text;
  const { variable, rule, current, hint } = filled.refusal;
  throw new CloudConfigError(
    "cloud-config.unknown-address",
    `Cannot read the settings: ${variable} of ${detail} must be ${rule}: ` +
      `current value is ${current}`,
    { hint },
  );
}

function valueOf(
  flag: FlagSpec,
  texts: readonly string[],
  detail: string,
): FlagValue {
  if (flag.type === "list") return texts;
  const parsed = parseFlagValue(flag, texts[0]!);
  if ("value" in parsed) return parsed.value;
  throw badValueError({
    where: detail,
    rule: parsed.rule,
    current: flag.secret ? undefined : texts[0],
    hint: `for example ${cloudConfigKey(flag)}: ${parsed.example}`,
  });
}

/** A host without the file has no addresses in it. */
async function readEnvironmentFile(readFile: ReadTextFile): Promise<string> {
  try {
    return await readFile(ENVIRONMENT_FILE);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return "";
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CloudConfigError(
      "cloud-config.environment-file",
      `Cannot read the settings: ${ENVIRONMENT_FILE} must be readable: ${reason}`,
      { cause },
    );
  }
}
