/**
 * `loden cleanup`.
 *
 * @module
 */

import { AgentRunningError } from "../agent/errors.ts";
import { exitCodes } from "../agent/exit_codes.ts";
import { footprintPath, readFootprint } from "../agent/footprint.ts";
import { type InstancePaths, instancePaths } from "../agent/instance.ts";
import { InstanceLock } from "../agent/instance_lock.ts";
import { describeError } from "../errors.ts";
import { workingRuleSets } from "../host/firewall/select_firewall.ts";
import { HostCommandRunner } from "../linux/command.ts";
import { KernelBpf } from "../linux/bpf/kernel_bpf.ts";
import { KernelRtnetlink } from "../linux/netlink/kernel_rtnetlink.ts";
import { type CleanupStep, planCleanup } from "./cleanup_plan.ts";
import { planPrograms } from "./cleanup_programs.ts";
import type { CommandIo } from "./command.ts";
import {
  isSet,
  readCommandLine,
  readSettings,
  refuseWords,
} from "./command_line.ts";

/** Removes what an agent leaves in place when it stops, and says what. */
export async function run(io: CommandIo): Promise<number> {
  const line = readCommandLine(io, "cleanup");
  if (line === undefined) return exitCodes.ok;
  refuseWords(line, "cleanup");
  const { runDir, etcdPrefix } = await readSettings(io, line);
  const paths = instancePaths(runDir, etcdPrefix);
  if (isSet(line, "dry-run")) {
    refuseWhileRunning(paths, etcdPrefix);
    const steps = await plan(paths, etcdPrefix);
    for (const { what } of steps) io.stdout(`would remove ${what}\n`);
    if (steps.length === 0) io.stdout("nothing to remove\n");
    return exitCodes.ok;
  }
  // No agent can start in between.
  using _lock = InstanceLock.acquire(paths, etcdPrefix);
  const steps = await plan(paths, etcdPrefix);
  let failed = false;
  for (const { what, remove, isRecord } of steps) {
    // What records the rest is kept, so that the cleanup can be repeated.
    if (failed && isRecord) continue;
    try {
      await remove();
      io.stdout(`removed ${what}\n`);
    } catch (error) {
      failed = true;
      io.stderr(`loden: Cannot remove ${what}: ${describeError(error)}\n`);
    }
  }
  if (steps.length === 0) io.stdout("nothing to remove\n");
  return failed ? exitCodes.failed : exitCodes.ok;
}

function refuseWhileRunning(paths: InstancePaths, etcdPrefix: string): void {
  const holder = InstanceLock.holder(paths);
  if (holder === undefined) return;
  throw new AgentRunningError(etcdPrefix, paths.lock, holder.pid);
}

async function plan(
  paths: InstancePaths,
  etcdPrefix: string,
): Promise<CleanupStep[]> {
  const { signal } = new AbortController();
  const footprint = await readFootprint(paths);
  // They live as long as the steps, which end with the process.
  const rtnetlink = new KernelRtnetlink();
  const bpf = new KernelBpf();
  const steps = await planCleanup(etcdPrefix, footprint, {
    rtnetlink,
    planPrograms: (alias) => planPrograms({ rtnetlink, bpf }, alias),
    firewalls: footprint === undefined
      ? []
      : await workingRuleSets(new HostCommandRunner(), signal),
    exists: isThere,
    removeFile: (path) => Deno.remove(path),
  }, signal);
  for (const path of [footprintPath(paths), paths.socket]) {
    if (!await isThere(path)) continue;
    steps.push({
      what: `file ${path}`,
      remove: () => Deno.remove(path),
      isRecord: true,
    });
  }
  return steps;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
