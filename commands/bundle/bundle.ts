/**
 * `loden bundle`: one archive for a bug report.
 *
 * @module
 */

import { exitCodes } from "../../agent/exit_codes.ts";
import { instancePaths } from "../../agent/instance/instance.ts";
import type { CommandLine } from "../../config/go_flags.ts";
import type { Settings } from "../../config/settings.ts";
import { describeError, LodenError } from "../../errors.ts";
import { writeFileAtomically } from "../../linux/atomic_file.ts";
import { type Clock, systemClock } from "../../linux/clock.ts";
import { type CommandRunner, HostCommandRunner } from "../../linux/command.ts";
import { removeFile } from "../../linux/remove_file.ts";
import { VERSION } from "../../version.ts";
import type { CommandContext } from "../command.ts";
import { isSet, readFlags, readSettings } from "../command_line.ts";
import { reportHost } from "../doctor/doctor.ts";
import { Progress } from "../terminal/progress.ts";
import { findAgentProcess, settingsOf } from "../agent_process.ts";
import {
  type ArchiveFacts,
  bundleFiles,
  describeMissing,
  packFiles,
} from "./archive.ts";
import { findSecrets } from "./find_secrets.ts";
import { gather, type GatheredPart } from "./gather.ts";
import { knownNames } from "./host_names.ts";
import { Interruption } from "./interruption.ts";
import { bundleParts } from "./parts.ts";
import { Pseudonyms } from "./pseudonyms.ts";
import type { Secrets } from "./secrets.ts";

/** Of each part. */
const PART_MS = 10_000;

/** What tests replace. */
export interface BundleTools {
  readonly clock: Clock;
  readonly runner: CommandRunner;
  readonly doctor: (settings: Settings) => Promise<string>;
  readonly partLimitMs: number;
}

const hostTools: BundleTools = {
  clock: systemClock,
  runner: new HostCommandRunner(),
  doctor: reportHost,
  partLimitMs: PART_MS,
};

/** Gathers, removes secrets, and writes the archive. */
export async function run(
  io: CommandContext,
  tools: BundleTools = hostTools,
): Promise<number> {
  const line = readFlags(io);
  if (line === undefined) return exitCodes.ok;
  const createdMs = tools.clock.now();
  const name = `loden-bundle-${compactTime(createdMs)}`;
  const output = String(line.given.get("output")?.value ?? `${name}.tar.gz`);
  const facts: ArchiveFacts = {
    name,
    version: VERSION,
    createdMs,
    isAnonymized: isSet(line, "anonymize"),
  };
  using interruption = new Interruption(io);
  using progress = new Progress(io, tools.clock);
  try {
    const { bytes, missing } = await make(
      io,
      line,
      facts,
      tools,
      { progress, signal: interruption.signal },
    );
    progress.say(`writing ${output}`);
    await write(output, bytes, interruption.signal);
    progress.say(undefined);
    io.stdout(`${output} (${Math.ceil(bytes.length / 1_000)} kB)\n`);
    if (missing.length > 0) io.stdout("not gathered:\n");
    for (const each of missing) io.stdout(`  ${each}\n`);
    return exitCodes.ok;
  } catch (error) {
    if (interruption.exitCode === undefined) throw error;
    progress.erase();
    io.stderr("loden: interrupted: no bundle is written\n");
    return interruption.exitCode;
  }
}

async function make(
  io: CommandContext,
  line: CommandLine,
  facts: ArchiveFacts,
  { clock, doctor, partLimitMs, runner }: BundleTools,
  { progress, signal }: {
    readonly progress: Progress;
    readonly signal: AbortSignal;
  },
): Promise<{ bytes: Uint8Array; missing: readonly string[] }> {
  const { settings, refusal } = await usableSettings(io, line);
  const paths = instancePaths(settings.runDir, settings.etcdPrefix);
  const agent = findAgentProcess(paths);
  const agentSettings = agent && await settingsOf(agent);
  const secrets = await findSecrets({
    env: io.env,
    argv: io.argv,
    agentEnv: agent?.env ?? {},
    agentWords: agent?.words ?? [],
    settings: agentSettings === undefined
      ? [settings]
      : [settings, agentSettings],
    directories: [settings.runDir, settings.stateDir],
  });
  const parts = await gather(
    bundleParts({
      runner,
      doctor,
      paths,
      commandSettings: settings,
      refusal,
      agent,
      agentSettings,
      nowMs: facts.createdMs,
    }),
    {
      clock,
      limitMs: partLimitMs,
      signal,
      onWait: (files) => progress.say(describeWait(files)),
    },
  );
  progress.say("removing secrets and packing");
  const safe = parts.map((part) => withoutSecrets(part, secrets));
  const files = facts.isAnonymized
    ? anonymize(safe, facts, [settings, agentSettings])
    : { texts: bundleFiles(safe, facts), missing: describeMissing(safe) };
  return {
    bytes: await packFiles(files.texts, facts),
    missing: files.missing,
  };
}

/**
 * A setting that cannot be used must not keep the bundle from being made. The
 * command line itself must be right.
 */
async function usableSettings(
  io: CommandContext,
  line: CommandLine,
): Promise<{ settings: Settings; refusal: string | undefined }> {
  try {
    return { settings: await readSettings(io, line), refusal: undefined };
  } catch (error) {
    if (!(error instanceof LodenError)) throw error;
    const given = new Map(
      [...line.given].filter(([name]) =>
        ["etcd-prefix", "run-dir", "state-dir"].includes(name)
      ),
    );
    const settings = await readSettings(
      { ...io, env: {} },
      { ...line, given },
    );
    return { settings, refusal: describeError(error) };
  }
}

function withoutSecrets(part: GatheredPart, secrets: Secrets): GatheredPart {
  return {
    ...part,
    text: part.text === undefined ? undefined : secrets.hide(part.text),
    missing: part.missing.map((each) => secrets.hide(each)),
  };
}

function anonymize(
  parts: readonly GatheredPart[],
  facts: ArchiveFacts,
  settings: readonly (Settings | undefined)[],
) {
  const files = bundleFiles(parts, facts);
  const missing = describeMissing(parts);
  const pseudonyms = new Pseudonyms(
    files.map(([, text]) => text),
    knownNames(settings.filter((each) => each !== undefined)),
  );
  return {
    texts: files.map(([file, text]) =>
      [file, pseudonyms.replace(text)] as const
    ),
    // For the person who made it: as it is.
    missing,
  };
}

/** 0600, whatever was there before; nothing is left after an interruption. */
async function write(
  path: string,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  await writeFileAtomically(path, bytes, { mode: 0o600, keepMode: false });
  if (!signal.aborted) return;
  await removeFile(path);
  signal.throwIfAborted();
}

function describeWait(files: readonly string[]): string | undefined {
  return files.length === 0
    ? undefined
    : `gathering ${files.toSorted().join(", ")}`;
}

/** `20261129T013000Z` */
function compactTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replaceAll(/[-:]|\.\d+/g, "");
}
