/**
 * The hosts of a test: agents that are READY, and a container behind each.
 *
 * @module
 */

import type { StatusSnapshot } from "../../agent/status/status_snapshot.ts";
import { Daemon } from "../rig/daemon.ts";
import type { Agent, AgentOptions } from "../rig/agent.ts";
import type { Container } from "../rig/container.ts";
import type { RigHost } from "../rig/host.ts";
import type { EtcdServer } from "../support/etcd.ts";
import type { NetNamespace } from "../rig/namespace.ts";
import { Rig, type RigEtcdOptions } from "../rig/rig.ts";
import {
  type DataPath,
  type DataPathTraits,
  type Setup,
  traitsOf,
} from "./data_paths.ts";

/** One host with all that runs on it. */
export interface Node {
  readonly host: RigHost;
  agent: Agent;
  container: Container;
  /** What its data path does in its own way. */
  traits: DataPathTraits;
  /** The flags that it was first started with. */
  readonly flags: readonly string[];
}

/** A rig whose first hosts are on the overlay. */
export interface Overlay extends AsyncDisposable {
  readonly rig: Rig;
  readonly nodes: readonly Node[];
  node(index: number): Node;
}

/** What the hosts are asked to do. */
export interface OverlayOptions {
  /** Data paths and cables. */
  readonly setup: Setup;
  /** Hosts in the rig, 2 by default. */
  readonly hosts?: number;
  /** How many of them run an agent; all by default. */
  readonly agents?: number;
  /** More flags for the agents. */
  readonly flags?: readonly string[];
  /** Stands before each agent's command, see {@linkcode AgentOptions}. */
  readonly wrapper?: readonly string[];
  readonly etcd?: RigEtcdOptions;
  /** Runs when etcd serves, before anything is written to it. */
  readonly prepareEtcd?: (etcd: EtcdServer) => Promise<void>;
}

/** Flannel's default network. */
export const CONFIG = { Network: "10.1.0.0/16" };
/** Where leases are. */
export const SUBNETS = "/coreos.com/network/subnets";

/** Builds it; nothing is left when that fails. */
export async function startOverlay(options: OverlayOptions): Promise<Overlay> {
  const { setup } = options;
  await using cleanup = new AsyncDisposableStack();
  const rig = cleanup.use(
    await Rig.create({
      hosts: options.hosts ?? 2,
      underlayMtuBytes: setup.underlayMtuBytes,
    }),
  );
  // Before the agents: they look at the cable when they start.
  await rig.setLinkMode(setup.linkMode);
  const etcd = await rig.startEtcd(options.etcd);
  await options.prepareEtcd?.(etcd);
  await rig.publish(CONFIG);
  const hosts = rig.hosts.slice(0, options.agents ?? rig.hosts.length);
  const nodes = await Promise.all(hosts.map(async (host, index) => {
    // As Docker leaves it: what is not accepted is not forwarded.
    await host.namespace.run(["iptables", "-P", "FORWARD", "DROP"]);
    return await join(rig, host, {
      dataPath: setup.dataPaths[index] ?? setup.dataPaths[0]!,
      flags: [...setup.flags, ...options.flags ?? []],
      ...options.wrapper ? { wrapper: options.wrapper } : {},
    });
  }));
  const kept = cleanup.move();
  return {
    rig,
    nodes,
    node(index) {
      const node = nodes[index];
      if (!node) throw new RangeError(`Cannot find node ${index}`);
      return node;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** How a host takes part. */
export interface JoinOptions extends Partial<AgentOptions> {
  readonly dataPath: DataPath;
}

/** Starts an agent on a host and puts a container behind it. */
export async function join(
  rig: Rig,
  host: RigHost,
  { dataPath, ...options }: JoinOptions,
): Promise<Node> {
  const flags = [`--datapath=${dataPath}`, ...options.flags ?? []];
  const agent = await rig.startAgent(host, { ...options, flags });
  await agent.ready();
  const container = await host.addContainer(await agent.bridge());
  return { host, agent, container, flags, traits: traitsOf(dataPath) };
}

/**
 * Restarts a node's agent, once it has ended, with its first flags and then
 * the given ones, and waits until it is READY.
 */
export async function restart(
  rig: Rig,
  node: Node,
  flags: readonly string[] = [],
  options: Partial<AgentOptions> = {},
  readyTimeoutMs?: number,
): Promise<void> {
  node.agent[Symbol.dispose]();
  node.agent = await rig.startAgent(node.host, {
    ...options,
    flags: [...node.flags, ...flags],
  });
  await node.agent.ready(readyTimeoutMs);
}

/** Starts a program of this directory that says `listening`. */
export async function serve(
  rig: Rig,
  namespace: NetNamespace,
  command: readonly string[],
): Promise<Daemon> {
  const server = new Daemon({
    name: command.find((word) => word.endsWith(".ts")) ?? command[0]!,
    command: [...namespace.commandPrefix, ...command],
    logFile: `${rig.directory}/${crypto.randomUUID()}.log`,
  });
  await server.untilLogged(/^listening$/m, 10_000);
  return server;
}

/** Asks a node's agent. */
export function statusOf({ agent }: Node): Promise<StatusSnapshot> {
  return agent.status();
}

/** Asks again until `condition` holds. Throws when it never does. */
export async function eventually<Value>(
  what: string,
  ask: () => Promise<Value>,
  condition: (value: Value) => boolean,
  timeoutMs = 10_000,
): Promise<Value> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await ask();
    if (condition(value)) return value;
    if (performance.now() > deadline) {
      throw new Error(
        `Cannot see ${what} within ${timeoutMs} ms: the last value was ` +
          JSON.stringify(value, undefined, 1),
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
