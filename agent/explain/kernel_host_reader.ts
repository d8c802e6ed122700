/**
 * Reads the real host.
 *
 * @module
 */

import { backendOf, isBackend } from "../../backend/backends.ts";
import type { Inspection, InspectionHost } from "../../backend/inspection.ts";
import type { BackendConfig } from "../../config/network/backend_spec.ts";
import { describeError, LodenError } from "../../errors.ts";
import {
  findNamespaces,
  type NamespaceHolder,
} from "../../host/container_finder.ts";
import { readHostChains } from "../../host/firewall/evaluate/read_chains.ts";
import { decodeState } from "../../lease/saved/state_codec.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";
import { bootTimeNs } from "../../linux/clock.ts";
import { HostCommandRunner } from "../../linux/command.ts";
import { SystemCallError } from "../../linux/errno.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { KernelWireguard } from "../../linux/netlink/kernel_wireguard.ts";
import type { Link, Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import { inNetworkNamespace } from "../../linux/network_namespace.ts";
import { readSysctl } from "../../linux/sysctl.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import { deviceAlias, readFootprint } from "../instance/footprint.ts";
import { type InstancePaths, stateFile } from "../instance/instance.ts";
import type { StatusSnapshot } from "../status/status_snapshot.ts";
import { seen, unseen } from "./fact.ts";
import type { HostReader, InspectionRequest } from "./host_reader.ts";
import { routeFacts } from "./gather_parts.ts";
import type { ContainerFacts } from "./snapshot.ts";

/** Where the agent's traces are. */
export interface HostReaderOptions {
  readonly etcdPrefix: string;
  readonly paths: InstancePaths;
  readonly stateDir: string;
  /** Asks the agent. */
  readonly status: () => Promise<StatusSnapshot>;
  /**
   * Whether containers are entered, which this thread then does: not in an agent,
   * where others depend on the thread.
   */
  readonly entersContainers: boolean;
}

/** See the module. @param rtnetlink of the caller. */
export function hostReader(
  rtnetlink: Rtnetlink,
  options: HostReaderOptions,
): HostReader {
  const { entersContainers, etcdPrefix, paths, stateDir, status } = options;
  const runner = new HostCommandRunner();
  let backends: readonly BackendConfig[] = [];
  const optionsOf = (type: string) =>
    backends.find((each) => each.type === type)?.options ?? {};
  const host: InspectionHost = {
    rtnetlink,
    deviceAlias: deviceAlias(etcdPrefix),
    bootTimeNs,
    openBpf: () => new KernelBpf(),
    openWireguard: () => new KernelWireguard(),
  };
  return {
    status,
    rtnetlink,
    setting: readSysctl,
    chains: (signal) => readHostChains(runner, signal),
    async footprint() {
      const footprint = await readFootprint(paths);
      backends = footprint?.backends ?? [];
      return footprint;
    },
    async savedPeers() {
      const text = await Deno.readTextFile(stateFile(stateDir, paths.name));
      return decodeState(text).peers;
    },
    container(address, destination) {
      const { holders, isComplete } = findNamespaces(address);
      const enter = (holder: NamespaceHolder) =>
        entersContainers
          ? readInside(rtnetlink.links(), holder, address, destination)
          : {
            pid: holder.pid,
            name: holder.command,
            inside: unseen("an agent does not enter containers"),
          };
      const [container] = holders.map(enter)
        .filter((each) => each !== undefined);
      return Promise.resolve({ container, isComplete });
    },
    inspect: (request) => inspect(host, request, optionsOf),
    mostBytes: (type, mtuBytes) =>
      isBackend(type)
        ? backendOf(type).overlayMtuBytes(optionsOf(type), mtuBytes)
        : undefined,
  };
}

function inspect(
  host: InspectionHost,
  request: InspectionRequest,
  optionsOf: (type: string) => Readonly<Record<string, unknown>>,
): Inspection {
  const { backendType, peer } = request;
  if (!isBackend(backendType)) {
    throw new LodenError(
      "explain.backend",
      `this version knows no backend ${backendType}`,
    );
  }
  const inspector = backendOf(backendType).inspector(optionsOf(backendType));
  return request.direction === "send"
    ? inspector.send(host, peer, request.destination)
    : inspector.receive(host, peer, request.underlay);
}

/**
 * `undefined` if the namespace is not behind a device of this host, but of another
 * one with the same process ids, such as a virtual host.
 */
function readInside(
  links: readonly Link[],
  { command, pid }: NamespaceHolder,
  address: Ipv4,
  destination: Ipv4,
): ContainerFacts | undefined {
  const found = { pid, name: command };
  try {
    const inside = inNetworkNamespace(`/proc/${pid}/ns/net`, () => {
      using rtnetlink = new KernelRtnetlink();
      return {
        links: rtnetlink.links(),
        addresses: rtnetlink.addresses(),
        route: routeFacts({ rtnetlink }, destination, { source: address }),
      };
    });
    const index = inside.addresses.find((each) => each.address === address)
      ?.interfaceIndex;
    const device = inside.links.find((link) => link.index === index);
    if (device !== undefined && !isBehind(device, links)) return undefined;
    const { route } = inside;
    const out = route.kind === "found"
      ? inside.links.find((link) => link.index === route.answer.interfaceIndex)
      : device;
    return {
      ...found,
      inside: seen({
        route,
        mtuBytes: out?.mtuBytes,
        deviceName: out?.name ?? "its device",
        isUp: out?.up ?? true,
      }),
    };
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    return { ...found, inside: unseen(describeError(error)) };
  }
}

/** A pair's ends name each other; of other devices nothing is known. */
function isBehind(device: Link, links: readonly Link[]): boolean {
  return device.kind !== "veth" ||
    links.some((link) =>
      link.index === device.remoteIndex && link.remoteIndex === device.index
    );
}
