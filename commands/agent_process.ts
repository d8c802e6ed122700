/**
 * What the kernel tells about the agent's process.
 *
 * @module
 */

import type { InstancePaths } from "../agent/instance/instance.ts";
import { InstanceLock } from "../agent/instance/instance_lock.ts";
import { resolveSettings, type Settings } from "../config/settings.ts";
import { LodenError } from "../errors.ts";
import { ifThere } from "../linux/proc.ts";
import { readIfThere } from "../linux/read_if_there.ts";

/** An agent that runs. Empty or `undefined` is what this user may not read. */
export interface AgentProcess {
  readonly pid: number;
  readonly env: Readonly<Record<string, string>>;
  /** Its command line without the program. */
  readonly words: readonly string[];
  /** Where its log goes, if that is a file. */
  readonly logFile: string | undefined;
  /** Its unit, if systemd has started it; a shell belongs to that of sshd. */
  readonly unit: string | undefined;
}

/** `undefined` if none runs, or this user may not see that. */
export function findAgentProcess(
  paths: InstancePaths,
): AgentProcess | undefined {
  const pid = holderOf(paths);
  return pid === undefined ? undefined : agentProcess(pid);
}

/** The process that an agent says it is. */
export function agentProcess(pid: number): AgentProcess {
  const [, ...words] = nullEnded(readIfThere(`/proc/${pid}/cmdline`));
  const env: Record<string, string> = Object.fromEntries(
    nullEnded(readIfThere(`/proc/${pid}/environ`)).map((entry) => {
      const [name] = entry.split("=", 1);
      return [name!, entry.slice(name!.length + 1)];
    }),
  );
  return {
    pid,
    env,
    words: flagsOf(words),
    logFile: logFileOf(pid),
    unit: env.INVOCATION_ID === undefined
      ? undefined
      : unitOf(readIfThere(`/proc/${pid}/cgroup`) ?? ""),
  };
}

/** `undefined` if they cannot be read, or this version does not know them. */
export async function settingsOf(
  { env, words }: Pick<AgentProcess, "env" | "words">,
): Promise<Settings | undefined> {
  if (words.length === 0 && Object.keys(env).length === 0) return undefined;
  try {
    return await resolveSettings({
      argv: words,
      env,
      readFile: (path) => Deno.readTextFile(path),
    });
  } catch (error) {
    // An agent of another version, or its file has changed since it started.
    if (error instanceof LodenError) return undefined;
    throw error;
  }
}

function holderOf(paths: InstancePaths): number | undefined {
  try {
    return InstanceLock.holder(paths)?.pid;
  } catch (error) {
    // Without root, what can be gathered is gathered all the same.
    if (error instanceof LodenError) return undefined;
    throw error;
  }
}

/** Deno's own words, as from the sources, and the command's name come first. */
function flagsOf(words: readonly string[]): string[] {
  const script = words.findIndex((word) => word.endsWith("cli.ts"));
  const own = words.slice(script + 1);
  return own[0] === "agent" ? own.slice(1) : own;
}

function logFileOf(pid: number): string | undefined {
  return ifThere(() => {
    const path = Deno.readLinkSync(`/proc/${pid}/fd/2`);
    return Deno.statSync(path).isFile ? path : undefined;
  });
}

/** The last service in the path of its control group. */
function unitOf(cgroup: string): string | undefined {
  return [...cgroup.matchAll(/(?<=\/)[^/\n]+\.service(?=\/|$)/gm)].at(-1)?.[0];
}

/** Nothing of a process that has ended, or belongs to another user. */
function nullEnded(text = ""): string[] {
  return text.split("\0").slice(0, -1);
}
