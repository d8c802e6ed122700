/**
 * A host of the rig: a namespace on the underlay that forwards packets.
 *
 * @module
 */

import { Agent, type AgentOptions } from "./agent.ts";
import {
  attachContainer,
  type BridgeOptions,
  type Container,
} from "./container.ts";
import { run } from "../../tools/command.ts";
import { NetNamespace } from "./namespace.ts";

/** Where the host is. */
export interface HostOptions {
  /** Name of the namespace. */
  readonly name: string;
  /** Dotted quad on the underlay. */
  readonly address: string;
  /** For the host's files; made here. */
  readonly directory: string;
  readonly underlayMtuBytes: number;
  /** The switch, and the device there that leads to this host. */
  readonly uplink: { readonly namespace: NetNamespace; readonly port: string };
  /** Address of the switch: the default route. */
  readonly gateway: string;
}

/** A host, its `eth0` on the underlay. */
export class RigHost {
  readonly name: string;
  readonly namespace: NetNamespace;
  readonly address: string;
  readonly directory: string;
  readonly uplink: HostOptions["uplink"];
  readonly #options: HostOptions;
  #containers = 0;
  readonly #onBridge = new Map<string, number>();

  private constructor(namespace: NetNamespace, options: HostOptions) {
    this.name = options.name;
    this.namespace = namespace;
    this.address = options.address;
    this.directory = options.directory;
    this.uplink = options.uplink;
    this.#options = options;
  }

  /** Makes the namespace and plugs it in. */
  static async create(
    options: HostOptions,
    signal?: AbortSignal,
  ): Promise<RigHost> {
    await Deno.mkdir(options.directory);
    return new RigHost(await plugIn(options, signal), options);
  }

  /**
   * As after a reboot: everything that the kernel knew of the host is gone,
   * processes and containers too. Its files stay.
   */
  async replug(signal?: AbortSignal): Promise<void> {
    const { name, uplink: { namespace, port } } = this.#options;
    await namespace.attempt(["ip", "link", "delete", port]);
    await run(["ip", "netns", "delete", name], signal ? { signal } : {});
    await plugIn(this.#options, signal);
    this.#onBridge.clear();
  }

  /**
   * Whether another address of a network takes the place of the first one when
   * that is removed; else the kernel removes all of them. Hosts are set to
   * either: the kernel's default is no, systemd's is yes.
   */
  async promoteSecondaries(promoted: boolean): Promise<void> {
    const value = promoted ? "1" : "0";
    await this.namespace.sysctl({
      "net/ipv4/conf/all/promote_secondaries": value,
      "net/ipv4/conf/eth0/promote_secondaries": value,
    });
  }

  /** Takes Docker's bridge away, for one with another address. */
  async removeBridge(name = "docker0"): Promise<void> {
    await this.namespace.ip([`link delete ${name}`]);
    this.#onBridge.delete(name);
  }

  /** Starts an agent and does not wait for it. */
  startAgent(options: AgentOptions): Promise<Agent> {
    return Agent.start(this.namespace, this.directory, options);
  }

  /** Puts a new container on a bridge of this host, which it makes if needed. */
  async addContainer(
    bridge: BridgeOptions,
    signal?: AbortSignal,
  ): Promise<Container> {
    this.#containers += 1;
    const bridgeName = bridge.name ?? "docker0";
    const number = (this.#onBridge.get(bridgeName) ?? 0) + 1;
    this.#onBridge.set(bridgeName, number);
    const namespace = await NetNamespace.create(
      `${this.name}-c${this.#containers}`,
      signal,
    );
    return attachContainer(
      this.namespace,
      namespace,
      number,
      bridge,
      signal,
    );
  }
}

async function plugIn(
  options: HostOptions,
  signal?: AbortSignal,
): Promise<NetNamespace> {
  const { address, gateway, name, underlayMtuBytes: mtu, uplink } = options;
  const namespace = await NetNamespace.create(name, signal);
  await namespace.sysctl({ "net/ipv4/ip_forward": "1" }, signal);
  await uplink.namespace.ip([
    `link add ${uplink.port} mtu ${mtu} type veth ` +
    `peer name eth0 mtu ${mtu} address ${macOf(address)} netns ${name}`,
    `link set ${uplink.port} master underlay up`,
  ], signal);
  await namespace.ip([
    `address add ${address}/24 dev eth0`,
    "link set eth0 up",
    `route add default via ${gateway}`,
  ], signal);
  return namespace;
}

/** The same at each boot, as a card's: 02:00 and the address. */
function macOf(address: string): string {
  const bytes = [2, 0, ...address.split(".").map(Number)];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
