/**
 * This host, as the checks see it.
 *
 * @module
 */

import { AgentNotRunningError } from "../../agent/errors.ts";
import {
  footprintPath,
  parseFootprint,
} from "../../agent/instance/footprint.ts";
import { instancePaths, stateFile } from "../../agent/instance/instance.ts";
import { fetchStatus } from "../../agent/status/status_client.ts";
import { BACKENDS, isBackend } from "../../backend/backends.ts";
import { runFeatureTrials } from "../../backend/run_feature_trials.ts";
import { parseNetworkConfig } from "../../config/network/network.ts";
import type { Settings } from "../../config/settings.ts";
import { describeError, LodenError } from "../../errors.ts";
import { describeEngine, findEngine } from "../../host/docker/engine.ts";
import { findFlanneld } from "../../host/flanneld_process.ts";
import { parseSubnetEnv } from "../../host/subnet_env.ts";
import { EtcdLeaseRegistry } from "../../lease/etcd_registry.ts";
import { readEndpointReports } from "../../lease/etcd_reports.ts";
import { BadStateError, decodeState } from "../../lease/saved/state_codec.ts";
import { readClockSync } from "../../linux/clock_sync.ts";
import { HostCommandRunner } from "../../linux/command.ts";
import {
  canLoadModules,
  kernelModuleState,
} from "../../linux/kernel_module.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { exists, readIfThere } from "../../linux/read_if_there.ts";
import {
  type AgentProcess,
  agentProcess,
  findAgentProcess,
} from "../agent_process.ts";
import { askAgent } from "../ask_agent.ts";
import { etcdOptions } from "../etcd.ts";
import { once } from "../once.ts";
import type { SettingsHost } from "../agent_settings.ts";
import type {
  AgentSight,
  DoctorHost,
  KnownNetwork,
  RunningEngine,
} from "./check.ts";

/** How long etcd may take to answer. */
const ETCD_LIMIT_MS = 1_500;

/** Opened until it is disposed. */
export function openHost(settings: Settings): DoctorHost & Disposable {
  const rtnetlink = new KernelRtnetlink();
  const options = { ...etcdOptions(settings), deadlineMs: ETCD_LIMIT_MS };
  return {
    settings,
    isRoot: Deno.uid() === 0,
    kernelRelease: Deno.osRelease(),
    rtnetlink,
    runner: new HostCommandRunner(),
    readText: readIfThere,
    exists,
    moduleState: kernelModuleState,
    canLoadModules: canLoadModules(),
    tryFeatures: runFeatureTrials,
    clockSync: readClockSync,
    nowMs: () => Date.now(),
    etcd: once((signal) => readEndpointReports(options, signal)),
    network: once(async (signal) => {
      const registry = new EtcdLeaseRegistry(options);
      try {
        return await readNetwork(settings, registry, signal);
      } finally {
        registry.close();
      }
    }),
    agent: (signal) => lookAtAgent(settings, signal),
    engine,
    findFlanneld: () => findFlanneld(settings),
    [Symbol.dispose]: () => rtnetlink[Symbol.dispose](),
  };
}

/** From etcd, and from what the last start has left. */
export async function readNetwork(
  { etcdPrefix, runDir, stateDir, subnetFile }: Settings,
  registry: Pick<EtcdLeaseRegistry, "list" | "readConfig">,
  signal: AbortSignal,
): Promise<KnownNetwork> {
  const paths = instancePaths(runDir, etcdPrefix);
  const subnetEnv = parseSubnetEnv(readIfThere(subnetFile) ?? "");
  const footprint = parseFootprint(readIfThere(footprintPath(paths)) ?? "");
  const state = readIfThere(stateFile(stateDir, paths.name));
  const known = {
    subnetEnv,
    backends: footprint?.backends?.filter(({ type }) => isBackend(type)) ?? [],
    hostId: state === undefined ? undefined : hostIdIn(state),
  };
  const [config, leases] = await Promise.allSettled([
    registry.readConfig(signal).then((stored) =>
      stored &&
      parseNetworkConfig(stored.text, BACKENDS, `${etcdPrefix}/config`)
    ),
    registry.list(signal),
  ]);
  return {
    ...known,
    config: config.status === "fulfilled" ? config.value : undefined,
    failure: config.status === "fulfilled"
      ? undefined
      : expected(config.reason),
    leases: leases.status === "fulfilled" ? leases.value.leases : undefined,
    network: config.status === "fulfilled" && config.value !== undefined
      ? config.value.pool.network
      : subnetEnv.network,
  };
}

function expected(error: unknown): LodenError {
  if (error instanceof LodenError) return error;
  throw error;
}

function hostIdIn(state: string): string | undefined {
  try {
    return decodeState(state).hostId;
  } catch (error) {
    if (error instanceof BadStateError) return undefined;
    throw error;
  }
}

/**
 * Asked on its socket: to try its lock could hold up one that starts. One that
 * hangs holds it.
 */
async function findAgent(
  settings: Settings,
): Promise<AgentProcess | undefined> {
  const sight = await lookAtAgent(settings, new AbortController().signal);
  switch (sight.kind) {
    case "running":
      return agentProcess(sight.status.pid);
    case "unseen":
      return findAgentProcess(
        instancePaths(settings.runDir, settings.etcdPrefix),
      );
    case "absent":
      return undefined;
  }
}

/** What a real host needs for {@linkcode chooseSettings}. */
export const settingsHost: SettingsHost = { findAgent, readText: readIfThere };

async function lookAtAgent(
  { etcdPrefix, runDir }: Settings,
  signal: AbortSignal,
): Promise<AgentSight> {
  const paths = instancePaths(runDir, etcdPrefix);
  try {
    const status = await askAgent(paths, fetchStatus, { signal });
    return { kind: "running", status };
  } catch (error) {
    if (error instanceof AgentNotRunningError) return { kind: "absent" };
    if (error instanceof LodenError) {
      return { kind: "unseen", reason: describeError(error) };
    }
    throw error;
  }
}

async function engine(): Promise<RunningEngine | undefined> {
  const pid = await findEngine();
  if (pid === undefined) return undefined;
  const words = readIfThere(`/proc/${pid}/cmdline`)?.split("\0") ?? [];
  return { words, describe: () => describeEngine() };
}
