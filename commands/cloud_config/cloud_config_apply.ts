/**
 * `loden cloud-config apply`: what coreos-cloudinit did with the parts of a
 * cloud-config that a container network needs, on a host that has none.
 *
 * @module
 */

import { equals } from "@std/bytes/equals";
import { exitCodes } from "../../agent/exit_codes.ts";
import {
  ENVIRONMENT_FILE,
  fillAddresses,
  namesAddress,
} from "../../config/address_variables.ts";
import { readCloudConfig } from "../../config/cloud_config.ts";
import { readCloudConfigDocument } from "../../config/cloud_config_document.ts";
import { parseCloudConfigYaml } from "../../config/cloud_config_yaml.ts";
import { CloudConfigError, UsageError } from "../../config/errors.ts";
import { AGENT_FLAGS } from "../../config/flags.ts";
import { LodenError } from "../../errors.ts";
import { writeFileAtomically } from "../../linux/atomic_file.ts";
import { type CommandRunner, HostCommandRunner } from "../../linux/command.ts";
import { FileReadError, FileWriteError } from "../../linux/file_errors.ts";
import {
  type CloudConfigPlan,
  planCloudConfig,
  type PlannedFile,
} from "./cloud_config_plan.ts";
import type { CommandContext, CommandIo } from "../command.ts";
import { isSet, readCommandLine } from "../command_line.ts";

/** A command that starts a unit returns at once; the rest is quick. */
const COMMAND_MS = 30_000;

/** systemd refused a command. `code` is `cloud-config.systemctl`. */
export class SystemctlError extends LodenError {
  constructor(command: string, exitCode: number, said: string) {
    super(
      "cloud-config.systemctl",
      `Cannot apply the cloud-config: ${command} must succeed: exit code ` +
        `${exitCode}: ${said.trim()}`,
      {
        hint:
          "files that were written stay; correct the problem and apply the file again",
      },
    );
  }
}

/** Writes files and units, then has systemd take them up. */
export async function run(
  io: CommandContext,
  runner: CommandRunner = new HostCommandRunner(),
): Promise<number> {
  const line = readCommandLine(io);
  if (line === undefined) return exitCodes.ok;
  const path = onlyFile(line.words);
  const root = String(line.given.get("root")?.value ?? "").replace(/\/+$/, "");
  const plan = await makePlan(path, root, io);
  for (const note of plan.notes) io.stderr(`loden: ${note}\n`);
  const dryRun = isSet(line, "dry-run");
  // All checks come first, so that an invalid file changes nothing.
  const owners = await Promise.all(
    plan.files.map((file) => findOwner(root, file)),
  );
  for (const [index, file] of plan.files.entries()) {
    const changed = await differs(root + file.path, file);
    const verb = changed ? dryRun ? "would write" : "write" : "keep";
    io.stdout(`${verb} ${root}${file.path}\n`);
    if (changed && !dryRun) await put(root, file, owners[index]);
  }
  for (const { live, words } of plan.commands) {
    // Another root has no running service manager; its files take effect when
    // it boots.
    if (live && root !== "") continue;
    const all = root === "" ? words : [`--root=${root}`, ...words];
    const shown = `systemctl ${all.join(" ")}`;
    io.stdout(dryRun ? `would run ${shown}\n` : `run ${shown}\n`);
    if (!dryRun) await runSystemctl(runner, all, shown);
  }
  return exitCodes.ok;
}

async function makePlan(
  path: string,
  root: string,
  { env }: CommandIo,
): Promise<CloudConfigPlan> {
  const readFile = (name: string) =>
    Deno.readTextFile(name === ENVIRONMENT_FILE ? root + name : name);
  const { hasSection, settings } = await readCloudConfig({
    path,
    flags: AGENT_FLAGS,
    env,
    readFile,
  });
  const written = await readFile(path);
  const text = namesAddress(written)
    ? fillIn(written, path, env, await readIfThere(root + ENVIRONMENT_FILE))
    : written;
  const document = readCloudConfigDocument(
    await parseCloudConfigYaml(text, path),
    text,
    path,
  );
  return await planCloudConfig(document, hasSection ? settings : undefined);
}

function fillIn(
  text: string,
  path: string,
  env: CommandIo["env"],
  environmentFile: string,
): string {
  const filled = fillAddresses(text, env, environmentFile);
  if ("text" in filled) return filled.text;
  const { current, hint, rule, variable } = filled.refusal;
  throw new CloudConfigError(
    "cloud-config.unknown-address",
    `Cannot apply ${path}: ${variable} must be ${rule}: current value is ` +
      current,
    { hint },
  );
}

async function isLink(path: string): Promise<boolean> {
  const look = Deno.lstat(path).then(({ isSymlink }) => isSymlink);
  return await ifThere(path, look) ?? false;
}

async function readIfThere(path: string): Promise<string> {
  return await ifThere(path, Deno.readTextFile(path)) ?? "";
}

/** What `reading` the path gives; `undefined` when there is no such file. */
async function ifThere<T>(
  path: string,
  reading: Promise<T>,
): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new FileReadError(path, error);
  }
}

/** Whether the file is absent or has another content or mode. */
async function differs(path: string, file: PlannedFile): Promise<boolean> {
  if (file.isUnit && await isLink(path)) return true;
  const found = await ifThere(
    path,
    Promise.all([Deno.readFile(path), Deno.stat(path)]),
  );
  if (found === undefined) return true;
  const [present, { mode }] = found;
  return (mode ?? 0) % 0o10000 !== file.mode ||
    !equals(present, bytesOf(file));
}

function bytesOf({ content }: PlannedFile): Uint8Array {
  return typeof content === "string"
    ? new TextEncoder().encode(content)
    : content;
}

async function put(
  root: string,
  file: PlannedFile,
  owner: FileOwner | undefined,
): Promise<void> {
  const path = root + file.path;
  try {
    // The path may be a link (an alias or a mask): do not write through it.
    if (file.isUnit && await isLink(path)) await Deno.remove(path);
    await writeFileAtomically(path, file.content, {
      mode: file.mode,
      keepMode: false,
      ...(owner === undefined ? {} : { owner }),
    });
  } catch (error) {
    throw error instanceof LodenError ? error : new FileWriteError(path, error);
  }
}

interface FileOwner {
  readonly uid: number;
  /** `null`: as it is. */
  readonly gid: number | null;
}

/**
 * Looks the name up in the user database of the root that is written to;
 * `undefined` for a file without an owner.
 */
async function findOwner(
  root: string,
  { owner, path }: PlannedFile,
): Promise<FileOwner | undefined> {
  if (owner === undefined) return undefined;
  const [user, group] = owner.split(":");
  const find = async (name: string, file: string) => {
    if (/^\d+$/.test(name)) return Number(name);
    const lines = (await readIfThere(`${root}/etc/${file}`)).split("\n");
    const found = lines.find((line) => line.startsWith(`${name}:`));
    if (found !== undefined) return Number(found.split(":")[2]);
    throw new CloudConfigError(
      "cloud-config.owner",
      `Cannot apply the cloud-config: the owner of ${path} must be in ` +
        `${root}/etc/${file}: current value is ${name}`,
    );
  };
  return {
    uid: await find(user!, "passwd"),
    gid: group ? await find(group, "group") : null,
  };
}

async function runSystemctl(
  runner: CommandRunner,
  words: readonly string[],
  shown: string,
): Promise<void> {
  const { code, stderr } = await runner.run("systemctl", words, {
    signal: AbortSignal.timeout(COMMAND_MS),
  });
  if (code !== 0) throw new SystemctlError(shown, code, stderr);
}

function onlyFile(words: readonly string[]): string {
  const [path, ...rest] = words;
  if (path !== undefined && rest.length === 0) return path;
  throw new UsageError(
    "usage.cloud-config",
    "Cannot apply a cloud-config: it must be one file: current number of " +
      `words is ${words.length}`,
    { hint: "for example loden cloud-config apply cloud-config.yaml" },
  );
}
