/**
 * `loden --dry-run`: reads etcd and this host like a start, prints what a start
 * would change, and changes nothing.
 *
 * @module
 */

import { backendOf, BACKENDS, isBackend } from "../../backend/backends.ts";
import {
  footprintPath,
  parseFootprint,
} from "../../agent/instance/footprint.ts";
import { backendsAtStart } from "../../agent/network/backend_succession.ts";
import { exitCodes } from "../../agent/exit_codes.ts";
import {
  type InstancePaths,
  instancePaths,
  keyFile,
  stateFile,
} from "../../agent/instance/instance.ts";
import { InstanceLock } from "../../agent/instance/instance_lock.ts";
import type { NetworkOptions } from "../../agent/network/network.ts";
import { firewallRules } from "../../agent/network/network_firewall.ts";
import { ConfigMissingError } from "../../agent/changes/missing_config.ts";
import {
  type NetworkConfig,
  parseNetworkConfig,
} from "../../config/network/network.ts";
import type { Settings } from "../../config/settings.ts";
import { describeError } from "../../errors.ts";
import {
  type DaemonConfig,
  readDaemonConfig,
} from "../../host/docker/daemon_config.ts";
import { NoFirewallToolError } from "../../host/firewall/errors.ts";
import { selectFirewall } from "../../host/firewall/select_firewall.ts";
import {
  findFlanneld,
  type FlanneldProcess,
} from "../../host/flanneld_process.ts";
import { pickUnderlay } from "../../host/underlay/interface_picker.ts";
import { readHostNetworks } from "../../host/network_fit.ts";
import { parseSubnetEnv, type SubnetEnv } from "../../host/subnet_env.ts";
import { checkSysctls, type SysctlFinding } from "../../host/sysctl_check.ts";
import { underlayWarnings } from "../../host/underlay/underlay_warnings.ts";
import { previousSubnets } from "../../lease/own/acquisition_plan.ts";
import type { LeaseSnapshot } from "../../lease/registry.ts";
import {
  BadStateError,
  decodeState,
  type DurableState,
} from "../../lease/saved/state_codec.ts";
import { type CommandRunner, HostCommandRunner } from "../../linux/command.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import type { Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import { readIfThere } from "../../linux/read_if_there.ts";
import type { Cidr } from "../../net/cidr.ts";
import { formatMac } from "../../net/mac.ts";
import type { Underlay } from "../../net/underlay.ts";
import type { CommandIo } from "../command.ts";
import { etcdAccess, type RegistryAccess, withRegistry } from "../etcd.ts";
import {
  findAddressConflicts,
  hostFiles,
  networkOptions,
} from "./agent_parts.ts";
import { hostLeftovers } from "./host_leftovers.ts";
import {
  type FileForecast,
  forecastAddressConflicts,
  forecastDevice,
  forecastFiles,
  forecastFirewall,
  forecastLease,
  forecastLeftovers,
  forecastSysctls,
  forecastUnderlay,
  renderStartPlan,
  type StartStep,
} from "./start_plan.ts";

/** What the command reads; it changes none of it. */
export interface DryRunWorld {
  readonly access: RegistryAccess;
  readonly rtnetlink: Rtnetlink;
  readonly runner: CommandRunner;
  /** `undefined` when there is no such file, or it cannot be read. */
  readonly readText: (path: string) => string | undefined;
  readonly checkSysctls: (devices: readonly string[]) => SysctlFinding[];
  readonly readDaemonConfig: () => Promise<DaemonConfig>;
  readonly findFlanneld: (settings: Settings) => FlanneldProcess | undefined;
  /** Why this host cannot run a backend. */
  readonly obstacle: (backendType: string) => string | undefined;
}

/**
 * Prints the plan.
 *
 * @returns 1 if something would stop the start.
 */
export async function dryRun(
  io: CommandIo,
  settings: Settings,
  world: DryRunWorld = hostWorld(),
): Promise<number> {
  const steps = await planStart(io, settings, world);
  io.stdout(renderStartPlan(steps));
  return steps.some(({ kind }) => kind === "stopped")
    ? exitCodes.failed
    : exitCodes.ok;
}

async function planStart(
  io: CommandIo,
  settings: Settings,
  world: DryRunWorld,
): Promise<StartStep[]> {
  const { rtnetlink } = world;
  const paths = instancePaths(settings.runDir, settings.etcdPrefix);
  const { config, snapshot } = await readEtcd(io, settings, world.access);
  const { network } = config.pool;
  const former = parseSubnetEnv(world.readText(settings.subnetFile) ?? "");
  const underlay = pickUnderlay(settings, rtnetlink);
  const host = readHostNetworks(rtnetlink);
  const warnings = underlayWarnings(underlay, host.links, host.addresses);
  const state = readState(settings, paths, underlay, world);
  const lease = forecastLease(config, snapshot, {
    publicIp: underlay.publicIp,
    hostId: state?.hostId,
    previous: previousSubnets(former.subnet, state?.lease),
  });
  const { subnet } = lease;
  const footprint = parseFootprint(world.readText(footprintPath(paths)) ?? "");
  const formerBackends = footprint?.backends
    ?.filter(({ type }) => isBackend(type)) ?? [];
  const present = backendsAtStart(config.backend, formerBackends);
  const device = forecastDevice({
    ...settings,
    ...host,
    backend: config.backend,
    network,
    subnet,
    underlay,
  });
  return [
    ...findOthers(settings, paths, world),
    ...forecastUnderlay(underlay, warnings),
    ...lease.steps,
    ...forecastLeftovers(
      hostLeftovers(settings, config.pool, present, rtnetlink),
      {
        takeOver: settings.takeOverDevices,
        encrypts: backendOf(config.backend.type).encrypts ?? false,
      },
    ),
    ...forecastAddressConflicts(findAddressConflicts(config, rtnetlink)),
    ...findObstacle(config, world),
    ...device.steps,
    ...await planFirewall(
      config,
      { subnet, overlayDevice: device.name },
      networkOptions(settings, former),
      world,
    ),
    ...forecastSysctls(
      world.checkSysctls(
        [device.name, underlay.interfaceName].filter((name) =>
          name !== undefined
        ),
      ),
      settings.setSysctls,
    ),
    ...forecastFiles(
      await planFiles(
        settings,
        paths,
        config,
        world,
        subnet && {
          network,
          subnet,
          mtuBytes: device.mtuBytes,
          ipMasq: settings.ipMasq,
        },
      ),
    ),
  ];
}

async function readEtcd(
  io: CommandIo,
  settings: Settings,
  access: RegistryAccess,
): Promise<{ config: NetworkConfig; snapshot: LeaseSnapshot }> {
  return await withRegistry(io, settings, access, async (registry, signal) => {
    const stored = await registry.readConfig(signal);
    if (stored === undefined) throw new ConfigMissingError(settings);
    const source = `${settings.etcdPrefix}/config`;
    return {
      config: parseNetworkConfig(stored.text, BACKENDS, source),
      snapshot: await registry.list(signal),
    };
  });
}

function findObstacle(
  { backend: { type } }: NetworkConfig,
  { obstacle }: DryRunWorld,
): StartStep[] {
  const text = obstacle(type);
  return text === undefined ? [] : [{ kind: "stopped", text }];
}

function findOthers(
  settings: Settings,
  paths: InstancePaths,
  world: DryRunWorld,
): StartStep[] {
  const steps: StartStep[] = [];
  const holder = InstanceLock.holder(paths);
  if (holder !== undefined) {
    const who = holder.pid === undefined ? "" : ` (process ${holder.pid})`;
    steps.push({
      kind: "note",
      text: `an agent is running${who}: this is what the next start would do`,
    });
  }
  const flanneld = world.findFlanneld(settings);
  if (flanneld !== undefined) {
    steps.push({
      kind: "stopped",
      text: `process ${flanneld.pid} is flanneld and uses ${flanneld.shared}`,
    });
  }
  return steps;
}

/** Reads like the agent's store, but does not rename a corrupt file. */
function readState(
  settings: Settings,
  { name }: InstancePaths,
  { mac }: Underlay,
  { readText }: DryRunWorld,
): DurableState | undefined {
  const text = readText(stateFile(settings.stateDir, name));
  if (text === undefined) return undefined;
  try {
    const state = decodeState(text);
    return state.underlayMac === formatMac(mac) ? state : undefined;
  } catch (error) {
    if (error instanceof BadStateError) return undefined;
    throw error;
  }
}

/** The rules that the start sets, and those of a former network that it removes. */
async function planFirewall(
  config: NetworkConfig,
  { subnet, overlayDevice }: {
    readonly subnet: Cidr | undefined;
    readonly overlayDevice: string | undefined;
  },
  options: NetworkOptions,
  { runner }: DryRunWorld,
): Promise<StartStep[]> {
  const { signal } = new AbortController();
  const isWanted = options.ipMasq || options.forwardRules;
  try {
    const { firewall, antiSpoofing, reason, forDocker } = await selectFirewall(
      runner,
      { enableNftables: config.enableNfTables },
      signal,
    );
    const name = `${firewall.tool} (${reason})`;
    if (subnet === undefined) {
      return forecastFirewall(
        isWanted
          ? [{ name, changes: ["set the rules of the new subnet"] }]
          : [],
      );
    }
    const { network } = config.pool;
    const rules = firewallRules({ network, subnet }, options);
    const sets = [{ name, changes: await firewall.check(rules, signal) }];
    // The agent sets them once it has the device.
    for (const set of overlayDevice === undefined ? [] : forDocker) {
      const wanted = {
        ...rules,
        overlayDevice,
        directDevices: "kept",
      } as const;
      const changes = await set.check(wanted, signal);
      if (changes.length > 0) {
        sets.push({ name: `${set.tool}, ${set.purpose}`, changes });
      }
    }
    if (options.antiSpoofing) {
      // The devices that the rules name are known once the data path runs.
      const kept = { ...rules, antiSpoofing: "kept" } as const;
      sets.push({
        name: `${antiSpoofing.tool}, ${antiSpoofing.purpose}`,
        changes: await antiSpoofing.check(kept, signal),
      });
    }
    return forecastFirewall(isWanted ? sets : sets.filter(hasChanges));
  } catch (error) {
    if (!(error instanceof NoFirewallToolError)) throw error;
    if (!isWanted) return [];
    const kind = options.ipMasq ? "stopped" : "note";
    return [{ kind, text: describeError(error) }];
  }
}

function hasChanges({ changes }: { readonly changes: readonly string[] }) {
  return changes.length > 0;
}

async function planFiles(
  settings: Settings,
  paths: InstancePaths,
  { backend }: NetworkConfig,
  { readText, readDaemonConfig }: DryRunWorld,
  env: SubnetEnv | undefined,
): Promise<FileForecast[]> {
  const files: FileForecast[] = [];
  for (const { path, render } of hostFiles(settings, readDaemonConfig)) {
    const present = readText(path);
    files.push({ path, present, wanted: env && await render(env) });
  }
  // Only their existence matters here; their content concerns the agent alone.
  const own = [
    stateFile(settings.stateDir, paths.name),
    ...backendOf(backend.type).hasKey
      ? [keyFile(settings.stateDir, paths.name)]
      : [],
  ];
  for (const path of own) {
    const present = readText(path);
    files.push({ path, present, wanted: present });
  }
  return files;
}

function hostWorld(): DryRunWorld {
  return {
    access: etcdAccess,
    rtnetlink: new KernelRtnetlink(),
    runner: new HostCommandRunner(),
    readText: readIfThere,
    checkSysctls: (devices) => checkSysctls(devices),
    readDaemonConfig: () => readDaemonConfig(),
    findFlanneld: (settings) => findFlanneld(settings),
    obstacle: (type) => backendOf(type).obstacle?.(),
  };
}
