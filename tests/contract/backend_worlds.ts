/**
 * Hosts for `backend_contract.ts`: 192.0.2.11 on one link with its peers.
 *
 * @module
 */

import type { Backend } from "../../backend/backend.ts";
import type {
  BackendHost,
  BackendOptions,
} from "../../backend/backend_descriptor.ts";
import { backendOf } from "../../backend/backends.ts";
import type { CommandRunning } from "../../backend/extension/extension_command.ts";
import { ROUTE_PROTOCOL } from "../../backend/reconcile/kernel_state.ts";
import {
  planCleanup,
  planPrograms,
} from "../../commands/cleanup/cleanup_plan.ts";
import { deviceAlias } from "../../agent/instance/footprint.ts";
import type { UdpBackendParts } from "../../backend/udp/udp_backend.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";
import type { Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import type { Wireguard } from "../../linux/netlink/wireguard.ts";
import { equalCidr, formatCidr, isWithin, parseCidr } from "../../net/cidr.ts";
import { formatIpv4, parseIpv4 } from "../../net/ipv4.ts";
import { formatMac } from "../../net/mac.ts";
import { underlayMtu } from "../../net/mtu.ts";
import type { Peer } from "../../net/peer.ts";
import type { Underlay } from "../../net/underlay.ts";
import type { BackendWorld } from "./backend_contract.ts";

const PREFIX = "/contract";
export const ALIAS = deviceAlias(PREFIX);
const NETWORK = parseCidr("10.1.0.0/16")!;
const SUBNET = parseCidr("10.1.27.0/24")!;

const publicKeyOf = (byte: number) => new Uint8Array(32).fill(byte).toBase64();

/** BackendData of three peers, and one that cannot be used. */
interface Values {
  readonly good: readonly [unknown, unknown, unknown];
  readonly bad?: unknown;
}

const NO_DATA: Values = { good: [undefined, undefined, undefined] };
const VALUES: Readonly<Record<string, Values>> = {
  vxlan: {
    good: [
      { VNI: 1, VtepMAC: "0a:00:00:00:00:05" },
      { VNI: 1, VtepMAC: "0A-00-00-00-00-06" },
      { vtepmac: "0a00.0000.0007" },
    ],
    bad: { VNI: 1, VtepMAC: "00:11:22:33:44:55:66:77" },
  },
  wireguard: {
    good: [
      { PublicKey: publicKeyOf(5), Port: 51820 },
      { publickey: publicKeyOf(6), port: 4242 },
      { PublicKey: publicKeyOf(7) },
    ],
    bad: { PublicKey: "eHg=", Port: 51820 },
  },
  extension: {
    good: ["key of 5", "", undefined],
    bad: { VNI: 1 },
  },
};

/** Where a world is, and what makes its backends. */
export interface WorldParts {
  readonly type: string;
  readonly rtnetlink: Rtnetlink;
  /** The device with 192.0.2.11/24. */
  readonly underlayIndex: number;
  readonly options: BackendOptions;
  readonly create: () => Backend;
  /** What an extension's commands have made. */
  readonly commanded?: Commanded;
  /** Holds what a WireGuard device sends where. */
  readonly wireguard?: Wireguard;
  /** Whether the programmed state shows in routes; by default it does. */
  readonly hasRoutes?: boolean;
  readonly close: () => Promise<void> | void;
}

/** A world of these parts. */
export function backendWorld(parts: WorldParts): BackendWorld {
  const { commanded, rtnetlink, type, underlayIndex, wireguard } = parts;
  const { bad, good } = VALUES[type] ?? NO_DATA;
  const address = parseIpv4("192.0.2.11")!;
  const link = rtnetlink.links().find(({ index }) => index === underlayIndex)!;
  const peer = (number: number, backendData: unknown): Peer => ({
    subnet: parseCidr(`10.1.${number}.0/24`)!,
    publicIp: parseIpv4(`192.0.2.${20 + number}`)!,
    backendType: type,
    stale: false,
    ...backendData !== undefined && { backendData },
  });
  const peers = good.map((data, index) => peer(5 + index, data));
  const programmed = commanded !== undefined
    ? () => commanded.subnets()
    : wireguard !== undefined
    ? () => encryptedSubnets(rtnetlink, wireguard)
    : parts.hasRoutes ?? true
    ? () => routedSubnets(rtnetlink)
    : undefined;
  return {
    context: {
      network: NETWORK,
      subnet: SUBNET,
      underlay: {
        interfaceName: link.name,
        interfaceIndex: underlayIndex,
        address,
        publicIp: address,
        mtuBytes: underlayMtu(1500),
        mac: link.mac,
      },
    },
    options: parts.options,
    create: parts.create,
    peers: [peers[0]!, peers[1]!, peers[2]!],
    ...bad !== undefined && { badPeer: peer(9, bad) },
    ...programmed !== undefined && { programmed },
    devices: () => rtnetlink.links().map(({ name }) => name),
    async cleanUp() {
      using bpf = parts.hasRoutes === false ? new KernelBpf() : undefined;
      const steps = await planCleanup(
        PREFIX,
        { network: NETWORK, subnet: SUBNET, files: [] },
        {
          rtnetlink,
          planPrograms: (alias) =>
            bpf === undefined ? [] : planPrograms({ rtnetlink, bpf }, alias),
          firewalls: [],
          exists: () => Promise.resolve(false),
          removeFile: () => Promise.resolve(),
        },
        new AbortController().signal,
      );
      for (const { remove } of steps) await remove();
    },
    leftovers: () => [
      ...rtnetlink.links().filter(({ name }) => name.startsWith("flannel"))
        .map(({ name }) => `device ${name}`),
      ...rtnetlink.routes().filter(({ destination, type }) =>
        isWithin(destination, NETWORK) && type !== "local"
      ).map(({ destination, type }) => `${type} ${formatCidr(destination)}`),
    ],
    [Symbol.asyncDispose]: async () => await parts.close(),
  };
}

/**
 * Each peer's subnet, and the address to which the kernel sends for it: the
 * gateway, or the remote of the forwarding entry behind it.
 */
function routedSubnets(rtnetlink: Rtnetlink): string[] {
  return rtnetlink.routes()
    .filter(({ protocol, type }) =>
      protocol === ROUTE_PROTOCOL && type === "unicast"
    )
    .map(({ destination, gateway, interfaceIndex }) => {
      const mac = rtnetlink.neighbours(interfaceIndex!)
        .find(({ address }) => address === gateway)?.mac;
      const entry = mac && rtnetlink.forwardingEntries(interfaceIndex!)
        .find((each) => formatMac(each.mac) === formatMac(mac));
      return `${formatCidr(destination)} ${
        formatIpv4(entry?.remote ?? gateway!)
      }`;
    }).sort();
}

/** Each routed subnet, and the endpoint of the peer that may send from it. */
function encryptedSubnets(
  rtnetlink: Rtnetlink,
  wireguard: Wireguard,
): string[] {
  return rtnetlink.routes()
    .filter(({ protocol, type }) =>
      protocol === ROUTE_PROTOCOL && type === "unicast"
    )
    .map(({ destination, interfaceIndex }) => {
      const peer = wireguard.device(interfaceIndex!).peers
        .find(({ allowedIps }) =>
          allowedIps.some((cidr) => equalCidr(cidr, destination))
        );
      return `${formatCidr(destination)} ${
        peer?.endpoint === undefined
          ? "nowhere"
          : formatIpv4(peer.endpoint.address)
      }`;
    }).sort();
}

/** What the commands of {@linkcode COMMANDS} have made. */
export interface Commanded {
  /** Lines as in {@linkcode BackendWorld.programmed}. */
  subnets(): string[];
  readonly running: CommandRunning;
}

/** A config of type extension, for {@linkcode Commanded}. */
export const COMMANDS: BackendOptions = {
  PreStartupCommand: "print key-of-this-host",
  PostStartupCommand: "up $NETWORK $SUBNET",
  SubnetAddCommand: "add $SUBNET $PUBLIC_IP",
  SubnetRemoveCommand: "remove $SUBNET",
};

/** Commands that a test runs itself. */
export function commandsInMemory(): Commanded {
  const subnets = new Map<string, string>();
  return {
    subnets: () => [...subnets].map((entry) => entry.join(" ")).sort(),
    running: {
      timeLimitMs: 5_000,
      runShell(_command, { args: [name, ...words] = [] }) {
        if (name === "add") subnets.set(words[0]!, words[1]!);
        if (name === "remove") subnets.delete(words[0]!);
        const stdout = name === "print" ? words.join(" ") : "";
        return Promise.resolve({ code: 0, stdout, stderr: "" });
      },
    },
  };
}

/** A backend by its entry in the list. */
export function createByType(
  type: string,
  options: BackendOptions,
  underlay: Underlay,
  { dataPath, extension, parts, wireguard }: {
    readonly parts: UdpBackendParts;
    readonly wireguard: BackendHost["wireguard"];
    readonly extension: BackendHost["extension"];
    readonly dataPath: "ebpf" | "tun";
  },
): Backend {
  return backendOf(type).create(
    {
      parts,
      deviceAlias: ALIAS,
      extension,
      wireguard,
      vxlan: { txChecksum: "auto" },
      udp: {
        device: "flannel%d",
        dataPath,
        receive: "auto",
        senderCheck: "strict",
        checksInterface: true,
        sourcePort: "auto",
        disabledFeatures: [],
      },
    },
    options,
    underlay,
  );
}
