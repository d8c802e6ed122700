/**
 * Hosts on one underlay, made of network namespaces.
 *
 * ```text
 *   <rig>-h1-c1        <rig>-sw (etcd)        <rig>-h2-c1
 *       │           192.0.2.1 underlay            │
 *    docker0            │        │             docker0
 *       └─── <rig>-h1 ──┘        └── <rig>-h2 ───┘
 *          192.0.2.11                192.0.2.12
 * ```
 *
 * `198.51.100.1`, on the switch, stands for the rest of the Internet: it has no
 * route to the overlay.
 *
 * @module
 */

import { startEtcdCluster } from "../support/etcd_cluster.ts";
import {
  type EtcdOptions,
  type EtcdServer,
  startEtcd,
} from "../support/etcd.ts";
import type { Agent, AgentOptions } from "./agent.ts";
import { RigExistsError } from "./errors.ts";
import { RigHost } from "./host.ts";
import { type LinkMode, setLinkMode, setSwitchMode } from "./link_mode.ts";
import { belongsTo, uniqueRigName } from "./names.ts";
import { NetNamespace } from "./namespace.ts";
import {
  destroyLeftovers,
  destroyRig,
  namespaceNames,
  temporaryDirectory,
} from "./teardown.ts";

/** The switch's address on the underlay; etcd listens there. */
export const SWITCH_ADDRESS = "192.0.2.1";
/** An address behind the switch that knows nothing of the overlay. */
export const INTERNET_ADDRESS = "198.51.100.1";
const ETCD_PORT = 2379;
/**
 * A bridge without one of its own has the lowest of its ports': whenever a host
 * came or went, the others would look for etcd at a machine that is gone, until
 * their ARP entries are too old (45 s, arp(7)).
 */
const SWITCH_MAC = "02:00:5e:00:53:01";

/** What a rig leaves to its owner about etcd. */
export interface RigEtcdOptions
  extends Pick<EtcdOptions, "tls" | "extraArguments"> {
  /** 1 by default. */
  readonly members?: number;
}

/** How to build a rig. */
export interface RigOptions {
  /** Number of hosts, 2 by default. */
  readonly hosts?: number;
  /** Bytes of the underlay's largest packet, 1500 by default. */
  readonly underlayMtuBytes?: number;
  /**
   * A fixed name instead of one that tells the owner: such a rig is not taken
   * for a leftover when its owner has ended.
   */
  readonly name?: string;
  readonly signal?: AbortSignal;
}

/** A network. Dispose of it, or it stays until another rig is built. */
export class Rig implements AsyncDisposable {
  readonly name: string;
  readonly directory: string;
  /** The namespace with the underlay's bridge. */
  readonly switch: NetNamespace;
  readonly #underlayMtuBytes: number;
  readonly #hosts: RigHost[] = [];
  readonly #agents: Agent[] = [];
  #etcd: readonly EtcdServer[] = [];

  private constructor(
    name: string,
    directory: string,
    namespace: NetNamespace,
    underlayMtuBytes: number,
  ) {
    this.name = name;
    this.directory = directory;
    this.switch = namespace;
    this.#underlayMtuBytes = underlayMtuBytes;
  }

  /** Removes what dead owners left, then builds. Nothing is left on failure. */
  static async create(options: RigOptions = {}): Promise<Rig> {
    destroyLeftovers();
    const name = options.name ?? uniqueRigName();
    if (namespaceNames((part) => belongsTo(part, name)).length > 0) {
      throw new RigExistsError(name, { hint: "remove it first" });
    }
    try {
      return await build(name, options);
    } catch (error) {
      destroyRig(name);
      throw error;
    }

    async function build(name: string, options: RigOptions): Promise<Rig> {
      const { hosts = 2, signal, underlayMtuBytes = 1500 } = options;
      const directory = `${temporaryDirectory()}/${name}`;
      await Deno.mkdir(directory, { mode: 0o700 });
      const namespace = await NetNamespace.create(`${name}-sw`, signal);
      await namespace.ip([
        `link add underlay address ${SWITCH_MAC} mtu ${underlayMtuBytes} type bridge`,
        `address add ${SWITCH_ADDRESS}/24 dev underlay`,
        "link set underlay up",
        `address add ${INTERNET_ADDRESS}/32 dev lo`,
      ], signal);
      const rig = new Rig(name, directory, namespace, underlayMtuBytes);
      for (let i = 0; i < hosts; i++) await rig.addHost(signal);
      return rig;
    }
  }

  /** In the order of their making: 192.0.2.11, .12 … */
  get hosts(): readonly RigHost[] {
    return this.#hosts;
  }

  /** The host number `index`, from 0. Throws when there is none. */
  host(index: number): RigHost {
    const host = this.#hosts[index];
    if (!host) {
      throw new RangeError(
        `Cannot find host ${index}: the rig has ${this.#hosts.length}`,
      );
    }
    return host;
  }

  /** The started server, of several the first. Throws before {@linkcode startEtcd}. */
  get etcd(): EtcdServer {
    const [first] = this.#etcd;
    if (!first) throw new Error("Cannot reach etcd: it was not started");
    return first;
  }

  /** All members of the started etcd. */
  get etcdMembers(): readonly EtcdServer[] {
    return this.#etcd;
  }

  /** What agents are given, also before etcd runs. */
  get etcdEndpoint(): string {
    return this.#etcd.map(({ endpoint }) => endpoint).join() ||
      `http://${SWITCH_ADDRESS}:${ETCD_PORT}`;
  }

  /** Plugs one more host in. */
  async addHost(signal?: AbortSignal): Promise<RigHost> {
    const number = this.#hosts.length + 1;
    const host = await RigHost.create({
      name: `${this.name}-h${number}`,
      address: `192.0.2.${10 + number}`,
      directory: `${this.directory}/h${number}`,
      underlayMtuBytes: this.#underlayMtuBytes,
      uplink: { namespace: this.switch, port: `port${number}` },
      gateway: SWITCH_ADDRESS,
    }, signal);
    this.#hosts.push(host);
    return host;
  }

  /** Starts an etcd on the switch. @returns its first member. */
  async startEtcd(
    { members = 1, ...options }: RigEtcdOptions = {},
  ): Promise<EtcdServer> {
    const all = {
      ...options,
      listenAddress: SWITCH_ADDRESS,
      clientPort: ETCD_PORT,
      commandPrefix: this.switch.commandPrefix,
      parentDirectory: this.directory,
      logFile: `${this.directory}/etcd.log`,
    };
    this.#etcd = members === 1
      ? [await startEtcd(all)]
      : await startEtcdCluster(members, all);
    return this.etcd;
  }

  /** Writes the network configuration, under flannel's default prefix. */
  async publish(
    config: Readonly<Record<string, unknown>>,
    prefix = "/coreos.com/network",
  ): Promise<void> {
    await this.etcd.ctl("put", `${prefix}/config`, JSON.stringify(config));
  }

  /** Starts an agent, which is stopped with the rig; does not wait for it. */
  async startAgent(
    host: RigHost,
    options: Partial<AgentOptions> = {},
  ): Promise<Agent> {
    const agent = await host.startAgent({
      etcdEndpoints: this.etcdEndpoint,
      ...options,
    });
    this.#agents.push(agent);
    return agent;
  }

  /** Puts the underlay into a mode, at both ends of every host's cable. */
  async setLinkMode(mode: LinkMode, signal?: AbortSignal): Promise<void> {
    const ports = this.#hosts.map(({ uplink }) => uplink.port);
    await setSwitchMode(this.switch, ports, mode, signal);
    for (const { namespace } of this.#hosts) {
      await setLinkMode(namespace, ["eth0"], mode, signal);
    }
  }

  /** Ends every process in order and removes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await Promise.all(this.#agents.map((agent) => agent.stop(2_000)));
      for (const agent of this.#agents) agent[Symbol.dispose]();
      await Promise.all(this.#etcd.map((member) => member.stop()));
    } finally {
      this.destroy();
    }
  }

  /** Removes everything at once, without waiting for anything. */
  destroy(): void {
    destroyRig(this.name);
  }
}
