/**
 * `loden cleanup`.
 *
 * @module
 */

import { AgentRunningError } from "../../agent/errors.ts";
import { exitCodes } from "../../agent/exit_codes.ts";
import {
  footprintPath,
  readFootprint,
} from "../../agent/instance/footprint.ts";
import {
  type InstancePaths,
  instancePaths,
  keyFile,
  stateFile,
} from "../../agent/instance/instance.ts";
import { InstanceLock } from "../../agent/instance/instance_lock.ts";
import { claimNamespace } from "../../agent/instance/namespace_claim.ts";
import type { Leftover } from "../../backend/leftovers.ts";
import type { Settings } from "../../config/settings.ts";
import { describeError } from "../../errors.ts";
import { workingRuleSets } from "../../host/firewall/select_firewall.ts";
import { unreadableStateFile } from "../../lease/saved/file_state_store.ts";
import { systemClock } from "../../linux/clock.ts";
import { HostCommandRunner } from "../../linux/command.ts";
import { FileReadError } from "../../linux/file_errors.ts";
import { removeFile } from "../../linux/remove_file.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { hostLeftovers } from "../agent/host_leftovers.ts";
import { type CleanupStep, planCleanup, planPrograms } from "./cleanup_plan.ts";
import type { CommandContext } from "../command.ts";
import { Progress } from "../terminal/progress.ts";
import { isSet, readFlags, readSettings } from "../command_line.ts";

/**
 * Removes what an agent leaves in place when it stops, and prints what it
 * removes.
 */
export async function run(io: CommandContext): Promise<number> {
  const line = readFlags(io);
  if (line === undefined) return exitCodes.ok;
  const settings = await readSettings(io, line);
  const { runDir, stateDir, etcdPrefix } = settings;
  const paths = instancePaths(runDir, etcdPrefix);
  const state = await present(stateFiles(stateDir, paths));
  const removed = isSet(line, "state") ? state : [];
  const kept = state.filter((path) => !removed.includes(path));
  using progress = new Progress(io, systemClock);
  progress.say("looking for what the agent has left");
  if (isSet(line, "dry-run")) {
    refuseWhileRunning(paths, etcdPrefix);
    const { steps, left } = await plan(paths, settings, removed);
    progress.say(undefined);
    for (const { what } of steps) io.stdout(`would remove ${what}\n`);
    if (steps.length === 0) io.stdout("nothing to remove\n");
    for (const each of left) io.stdout(`would keep ${describeLeft(each)}\n`);
    for (const path of kept) io.stdout(`would keep ${describeKept(path)}\n`);
    return exitCodes.ok;
  }
  // Holding the lock keeps an agent from starting in between.
  using _lock = InstanceLock.acquire(paths, etcdPrefix);
  using _namespace = claimNamespace(paths, etcdPrefix);
  const { steps, left } = await plan(paths, settings, removed);
  let failed = false;
  for (const { what, remove, isRecord } of steps) {
    // The record of the rest is kept, so that the cleanup can be repeated.
    if (failed && isRecord) continue;
    progress.say(`removing ${what}`);
    try {
      await remove();
      progress.erase();
      io.stdout(`removed ${what}\n`);
    } catch (error) {
      failed = true;
      progress.erase();
      io.stderr(`loden: Cannot remove ${what}: ${describeError(error)}\n`);
    }
  }
  progress.say(undefined);
  if (steps.length === 0) io.stdout("nothing to remove\n");
  for (const each of left) io.stdout(`kept ${describeLeft(each)}\n`);
  for (const path of kept) io.stdout(`kept ${describeKept(path)}\n`);
  return failed ? exitCodes.failed : exitCodes.ok;
}

function refuseWhileRunning(paths: InstancePaths, etcdPrefix: string): void {
  const holder = InstanceLock.holder(paths);
  if (holder !== undefined) {
    throw new AgentRunningError(etcdPrefix, paths.lock, holder.pid);
  }
  // Catches an agent with another run directory: only claiming shows whether
  // the claim is free.
  claimNamespace(paths, etcdPrefix)[Symbol.dispose]();
}

/** What is removed, and what flannel has left and is kept. */
async function plan(
  paths: InstancePaths,
  settings: Settings,
  stateFiles: readonly string[],
): Promise<{ steps: CleanupStep[]; left: readonly Leftover[] }> {
  const { etcdPrefix } = settings;
  const { signal } = new AbortController();
  const footprint = await readFootprint(paths);
  // They live as long as the steps, which end with the process.
  const rtnetlink = new KernelRtnetlink();
  const bpf = new KernelBpf();
  // The network's own are removed by their alias and their protocol number.
  const leftovers = footprint === undefined ? [] : hostLeftovers(
    settings,
    {
      network: footprint.network,
      subnetLength: footprint.subnet.prefixLength,
    },
    [],
    rtnetlink,
  ).filter(({ owner }) => owner === "flannel");
  const steps = await planCleanup(etcdPrefix, footprint, {
    rtnetlink,
    leftovers: settings.takeOverDevices ? leftovers : [],
    planPrograms: (alias) => planPrograms({ rtnetlink, bpf }, alias),
    firewalls: footprint === undefined
      ? []
      : await workingRuleSets(new HostCommandRunner(), signal),
    exists: isThere,
    removeFile,
  }, signal);
  const records = await present([footprintPath(paths), paths.socket]);
  for (const path of [...stateFiles, ...records]) {
    steps.push({
      what: `file ${path}`,
      remove: () => Deno.remove(path),
      isRecord: true,
    });
  }
  return { steps, left: settings.takeOverDevices ? [] : leftovers };
}

function describeLeft({ fix, what }: Leftover): string {
  return `${what}, flannel's (${fix}, or --take-over-devices)`;
}

/** The files that identify the host, and renamed copies of them. */
function stateFiles(stateDir: string, { name }: InstancePaths): string[] {
  const path = stateFile(stateDir, name);
  return [path, unreadableStateFile(path), keyFile(stateDir, name)];
}

function describeKept(path: string): string {
  const purpose = path.endsWith(KEY_ENDING)
    ? "with this host's private key"
    : "by which this host gets its subnet again";
  return `file ${path}, ${purpose} (--state)`;
}

/** `.key` */
const KEY_ENDING = keyFile("", "").slice(1);

async function present(paths: readonly string[]): Promise<string[]> {
  const there = await Promise.all(paths.map(isThere));
  return paths.filter((_, index) => there[index]);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    const isAbsent = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    if (isAbsent) return false;
    throw new FileReadError(path, error);
  }
}
