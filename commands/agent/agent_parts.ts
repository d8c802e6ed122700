/**
 * The agent, made of its real parts: the kernel, etcd, the host's files.
 *
 * @module
 */

import { Agent } from "../../agent/agent.ts";
import {
  deviceAlias,
  type FirewallFootprint,
  readFootprint,
  writeFootprint,
} from "../../agent/instance/footprint.ts";
import type { HostFile } from "../../agent/network/host_files.ts";
import {
  type InstancePaths,
  keyFile,
  stateFile,
} from "../../agent/instance/instance.ts";
import type { AgentMetrics } from "../../agent/metrics/agent_metrics.ts";
import { LeaseMembership } from "../../agent/lease_membership.ts";
import { refuseNetworkOfOthers } from "../../agent/instance/other_agents.ts";
import type { NetworkOptions } from "../../agent/network/network.ts";
import type { AddressConflicts } from "../../agent/network/address_conflicts.ts";
import type { AgentState } from "../../agent/status/state.ts";
import { UDP_FEATURES } from "../../backend/udp/features.ts";
import { UNREACHABLE_METRIC } from "../../backend/overlay_device.ts";
import { kernelParts } from "../../backend/udp/kernel_parts.ts";
import type { BackendHost } from "../../backend/backend_descriptor.ts";
import { backendOf, createBackend, isBackend } from "../../backend/backends.ts";
import { BackendObstacleError } from "../../backend/errors.ts";
import { isPeerRoute, removeLeftover } from "../../backend/leftovers.ts";
import { ROUTE_PROTOCOL } from "../../backend/reconcile/kernel_state.ts";
import {
  FLANNEL_KEY_FILE,
  type KeyFileOptions,
} from "../../backend/wireguard/key_file.ts";
import { wireguardHost } from "../../backend/wireguard/wireguard_host.ts";
import type { BackendConfig } from "../../config/network/backend_spec.ts";
import type { NetworkConfig } from "../../config/network/network.ts";
import type { Settings } from "../../config/settings.ts";
import { describeError } from "../../errors.ts";
import {
  type DaemonConfig,
  readDaemonConfig,
} from "../../host/docker/daemon_config.ts";
import { overlayOptions } from "../../host/docker/daemon_options.ts";
import { watchDocker } from "../../host/docker/docker_watch.ts";
import { hostDocker } from "../../host/docker/host_docker.ts";
import { renderAgentDockerOpts } from "../../host/docker/docker_opts.ts";
import { containerBridges } from "../../host/container_bridges.ts";
import {
  type FirewallDevices,
  type FirewallEvents,
  FirewallKeeper,
} from "../../host/firewall/firewall_keeper.ts";
import { selectFirewall } from "../../host/firewall/select_firewall.ts";
import { pickUnderlay } from "../../host/underlay/interface_picker.ts";
import {
  findOverlaps,
  isServedAlready,
  readHostNetworks,
} from "../../host/network_fit.ts";
import {
  readSubnetEnv,
  renderSubnetEnv,
  type SubnetEnv,
} from "../../host/subnet_env.ts";
import { checkSysctls, setSysctls } from "../../host/sysctl_check.ts";
import { SystemdNotifier } from "../../host/systemd.ts";
import { lookAtUnderlay } from "../../host/underlay/underlay_look.ts";
import {
  type UnderlayWarning,
  underlayWarnings,
} from "../../host/underlay/underlay_warnings.ts";
import { FileStateStore } from "../../lease/saved/file_state_store.ts";
import { PeerLedger } from "../../lease/peers/peer_ledger.ts";
import { writeFileAtomically } from "../../linux/atomic_file.ts";
import { systemClock } from "../../linux/clock.ts";
import { HostCommandRunner } from "../../linux/command.ts";
import { DescriptorWatch } from "../../linux/descriptor_watch.ts";
import { KernelEchoSocket } from "../../linux/echo_socket.ts";
import { KernelNftablesMonitor } from "../../linux/netlink/kernel_nftables_monitor.ts";
import { KernelRtnetlinkMonitor } from "../../linux/netlink/kernel_rtnetlink_monitor.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import type {
  Rtnetlink,
  RtnetlinkReader,
} from "../../linux/netlink/rtnetlink.ts";
import { KernelProbeSocket } from "../../linux/probe_socket.ts";
import { runShell } from "../../linux/shell_command.ts";
import { systemRandom } from "../../linux/random.ts";
import { formatMac } from "../../net/mac.ts";
import type { Underlay } from "../../net/underlay.ts";
import { openRegistry } from "../etcd.ts";
import { hostLeftovers } from "./host_leftovers.ts";

/** How long a command of the network config may take. */
const EXTENSION_COMMAND_MS = 60_000;

/** The words of `--disable-feature`. */
export const FEATURES: readonly string[] = Object.keys(UDP_FEATURES);

/** The agent, and what must be closed after it. */
export interface AgentParts extends Disposable {
  readonly agent: Agent;
}

/**
 * Puts the parts together; nothing is started.
 *
 * @param metrics What counts the agent's work; a program that embeds the agent
 * may have none.
 */
export async function composeAgent(
  settings: Settings,
  env: Readonly<Record<string, string>>,
  paths: InstancePaths,
  state: AgentState,
  metrics?: AgentMetrics,
): Promise<AgentParts> {
  // First, because it loads the slowest modules in the background.
  const etcd = openRegistry(settings);
  const registry = metrics?.count(etcd) ?? etcd;
  const rtnetlink = new KernelRtnetlink();
  // Created once: they hold a descriptor, and every attempt creates a backend.
  const ledger = new PeerLedger(systemClock, {
    ttlSeconds: settings.subnetLeaseTtlSeconds,
    graceSeconds: settings.peerGraceMinutes * 60,
    savedSeconds: settings.trustSavedPeersMinutes * 60,
    knownSeconds: settings.trustKnownPeersMinutes * 60,
  });
  const permissions = { allowsCommands: settings.allowExtensionCommands };
  const host = backendHost(settings, {
    ...kernelParts(rtnetlink, systemClock),
    trust: ledger,
  }, {
    path: keyFile(settings.stateDir, paths.name),
    flannelPath: env.WIREGUARD_KEY_FILE ?? FLANNEL_KEY_FILE,
    random: systemRandom,
  });
  const former = await readSubnetEnv(settings.subnetFile);
  const footprint = await readFootprint(paths);
  const agent = new Agent({
    clock: systemClock,
    random: systemRandom,
    state,
    registry,
    createMembership: (events) =>
      new LeaseMembership({
        clock: systemClock,
        random: systemRandom,
        registry,
        ledger,
        openStore: (underlay) => openStore(settings, paths, underlay, state),
      }, {
        ttlSeconds: settings.subnetLeaseTtlSeconds,
        takeOver: settings.takeOver,
        renewMarginSeconds: settings.subnetLeaseRenewMarginMinutes * 60,
        peerGraceSeconds: settings.peerGraceMinutes * 60,
        formerSubnet: former.subnet,
      }, events),
    pickUnderlay: () => {
      const underlay = pickUnderlay(settings, rtnetlink);
      return { underlay, warnings: warningsAbout(underlay, rtnetlink) };
    },
    underlayView: {
      openMonitor: () => new KernelRtnetlinkMonitor(),
      look: (current) => lookAtUnderlay(current, settings, rtnetlink),
      warnings: (underlay) => warningsAbout(underlay, rtnetlink),
    },
    refuseBackend: (type) => {
      const { obstacle, refusal } = backendOf(type);
      const text = obstacle?.();
      return refusal?.(permissions) ??
        (text === undefined ? undefined : new BackendObstacleError(type, text));
    },
    createBackend: (config, underlay) =>
      createBackend(config.backend, host, permissions, underlay),
    createFirewall: (config, events, devices) =>
      createFirewall(settings, config, events, devices),
    containerBridges: (subnet, overlayDevice) =>
      containerBridges(rtnetlink, subnet, overlayDevice),
    files: hostFiles(settings, () => readDaemonConfig()),
    ensureBlackholeRoute: (subnet) =>
      rtnetlink.replaceRoute({
        destination: subnet,
        type: "blackhole",
        metric: UNREACHABLE_METRIC,
      }),
    removeBlackholeRoute: (subnet) => {
      rtnetlink.removeRoute({
        destination: subnet,
        type: "blackhole",
        metric: UNREACHABLE_METRIC,
      });
    },
    findAddressConflicts: (config) => findAddressConflicts(config, rtnetlink),
    findLeftovers: (config, present) =>
      hostLeftovers(settings, config.pool, present, rtnetlink),
    removeLeftover: (leftover) =>
      removeLeftover(host.parts, host.deviceAlias, leftover),
    checkSysctls: (devices) => {
      if (settings.setSysctls) setSysctls(checkSysctls(devices));
      return checkSysctls(devices);
    },
    watchDocker: (overlay, onLook, signal) =>
      watchDocker(
        hostDocker({ clock: systemClock, rtnetlink }, settings),
        {
          ...overlay,
          forward: settings.iptablesForwardRules,
          masquerade: settings.ipMasq,
        },
        onLook,
        signal,
      ),
    notifier: new SystemdNotifier(env.NOTIFY_SOCKET),
    refuseNetworkOfOthers: (network) => refuseNetworkOfOthers(paths, network),
    saveFootprint: (footprint, config) =>
      writeFootprint(paths, {
        ...footprint,
        etcdPrefix: settings.etcdPrefix,
        firewall: firewallFootprint(settings, config),
      }),
    runShell,
    ...metrics && {
      timeApply: (apply: () => Promise<void>) => metrics.timeApply(apply),
    },
    probes: {
      openSocket: (address, port) => new KernelProbeSocket(address, port),
      openEcho: (address) => new KernelEchoSocket(address),
      watch: (descriptors) => new DescriptorWatch(descriptors),
      answerQuestion: async (question, asker, spaceBytes) => {
        const { answerQuestion, hostReader } = await import(
          "../../agent/explain/answer.ts"
        );
        const { etcdPrefix, stateDir } = settings;
        const reader = hostReader(rtnetlink, {
          ...{ etcdPrefix, stateDir, paths },
          status: () => Promise.resolve(state.snapshot()),
          entersContainers: false,
        });
        return await answerQuestion(reader, question, asker, spaceBytes);
      },
    },
  }, {
    probePort: settings.probePort,
    etcd: settings,
    subnetChange: {
      action: settings.onSubnetChange,
      formerSubnet: former.subnet,
    },
    network: networkOptions(settings, former, footprint?.backends),
  });
  return { agent, [Symbol.dispose]: () => rtnetlink[Symbol.dispose]() };
}

/** The settings of a network, and the network of the last run. */
export function networkOptions(
  settings: Settings,
  former: Partial<SubnetEnv>,
  formerBackends: readonly BackendConfig[] = [],
): NetworkOptions {
  return {
    takeOverDevices: settings.takeOverDevices,
    formerBackends: formerBackends.filter(({ type }) => isBackend(type)),
    ipMasq: settings.ipMasq,
    forwardRules: settings.iptablesForwardRules,
    randomFully: settings.ipMasqFullyRandom,
    antiSpoofing: settings.antiSpoofing,
    blackholeRoute: settings.ipBlackholeRoute,
    formerNetwork: former.network,
  };
}

/** One look at the host's routes and addresses. */
export function findAddressConflicts(
  { backend, pool: { network, subnetLength } }: NetworkConfig,
  rtnetlink: RtnetlinkReader,
): AddressConflicts {
  const present = readHostNetworks(rtnetlink);
  // Some backends take flannel's over. Loden's own are removed if not wanted.
  const takesOver = backendOf(backend.type).routesByUnderlay?.(backend.options);
  const routes = present.routes.filter((route) =>
    !isPeerRoute(route, network, subnetLength) ||
    (!takesOver && route.protocol !== ROUTE_PROTOCOL)
  );
  const host = { ...present, routes };
  return {
    overlaps: findOverlaps(network, host),
    isServed: isServedAlready(network, host),
  };
}

function warningsAbout(
  underlay: Underlay,
  rtnetlink: Rtnetlink,
): UnderlayWarning[] {
  return underlayWarnings(
    underlay,
    rtnetlink.links(),
    rtnetlink.addresses(),
  );
}

function openStore(
  { stateDir }: Settings,
  { name }: InstancePaths,
  { mac }: Underlay,
  state: AgentState,
): Promise<FileStateStore> {
  return FileStateStore.open({ clock: systemClock, random: systemRandom }, {
    path: stateFile(stateDir, name),
    underlayMac: formatMac(mac),
    onResult: (error) => {
      if (error === undefined) state.clear("state.not-saved");
      else state.raise("state.not-saved", describeError(error));
    },
  });
}

function backendHost(
  settings: Settings,
  parts: BackendHost["parts"],
  key: KeyFileOptions,
): BackendHost {
  return {
    parts,
    wireguard: wireguardHost(key),
    deviceAlias: deviceAlias(settings.etcdPrefix),
    udp: {
      device: settings.deviceName,
      dataPath: settings.dataPath,
      receive: settings.ebpfReceive,
      sourcePort: settings.sourcePort,
      senderCheck: settings.senderCheck,
      checksInterface: settings.senderInterfaceCheck,
      disabledFeatures: settings.disabledFeatures,
    },
    vxlan: { txChecksum: settings.vxlanTxChecksum },
    extension: {
      runShell,
      timeLimitMs: EXTENSION_COMMAND_MS,
      prepared: new Map(),
    },
  };
}

function firewallFootprint(
  settings: Settings,
  config: NetworkConfig,
): FirewallFootprint {
  return {
    masquerade: settings.ipMasq,
    forward: settings.iptablesForwardRules,
    randomFully: settings.ipMasqFullyRandom,
    enableNftables: config.enableNfTables,
    antiSpoofing: settings.antiSpoofing,
  };
}

function createFirewall(
  settings: Settings,
  config: NetworkConfig,
  events: FirewallEvents,
  devices: FirewallDevices,
): FirewallKeeper {
  const runner = new HostCommandRunner();
  const options = { enableNftables: config.enableNfTables };
  return new FirewallKeeper({
    select: (signal) => selectFirewall(runner, options, signal),
    clock: systemClock,
    ...devices,
    openMonitor: () => new KernelNftablesMonitor(),
  }, {
    resyncSeconds: settings.iptablesResyncSeconds,
    ...events,
  });
}

/** A file whose text can be had without writing it. */
interface RenderedFile extends HostFile {
  readonly render: (env: SubnetEnv) => Promise<string> | string;
}

/** What the agent writes for other programs, in this order. */
export function hostFiles(
  { subnetFile, dockerOptsFile }: Settings,
  readDaemonConfig: () => Promise<DaemonConfig>,
): RenderedFile[] {
  const file = (
    path: string,
    warning: HostFile["warning"],
    render: RenderedFile["render"],
  ): RenderedFile => ({
    path,
    warning,
    render,
    write: async (env) =>
      await writeFileAtomically(path, await render(env), { mode: 0o644 }),
  });
  return [
    file(subnetFile, "files.subnet-env", renderSubnetEnv),
    ...dockerOptsFile === undefined ? [] : [
      file(
        dockerOptsFile,
        "files.docker-opts",
        async (env) =>
          renderAgentDockerOpts(env, overlayOptions(await readDaemonConfig())),
      ),
    ],
  ];
}
