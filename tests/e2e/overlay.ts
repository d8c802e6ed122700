/**
 * The hosts of a test: agents that are READY, and a container behind each.
 *
 * @module
 */

import { Daemon } from "../rig/daemon.ts";
import type { Agent, AgentOptions } from "../rig/agent.ts";
import type { Container } from "../rig/container.ts";
import type { RigHost } from "../rig/host.ts";
import type { NetNamespace } from "../rig/namespace.ts";
import { Rig } from "../rig/rig.ts";

/** One host with all that runs on it. */
export interface Node {
  readonly host: RigHost;
  agent: Agent;
  readonly container: Container;
}

/** A rig whose first hosts are on the overlay. */
export interface Overlay extends AsyncDisposable {
  readonly rig: Rig;
  readonly nodes: readonly Node[];
  node(index: number): Node;
}

/** What the hosts are asked to do. */
export interface OverlayOptions {
  /** Hosts in the rig, 2 by default. */
  readonly hosts?: number;
  /** How many of them run an agent; all by default. */
  readonly agents?: number;
  /** More flags for the agents. */
  readonly flags?: readonly string[];
}

/** Flannel's default network. */
export const CONFIG = { Network: "10.1.0.0/16" };
/** Where leases are. */
export const SUBNETS = "/coreos.com/network/subnets";

/** Builds it; nothing is left when that fails. */
export async function startOverlay(
  options: OverlayOptions = {},
): Promise<Overlay> {
  await using cleanup = new AsyncDisposableStack();
  const rig = cleanup.use(await Rig.create({ hosts: options.hosts ?? 2 }));
  await rig.startEtcd();
  await rig.publish(CONFIG);
  const hosts = rig.hosts.slice(0, options.agents ?? rig.hosts.length);
  const nodes: Node[] = [];
  for (const host of hosts) {
    // As Docker leaves it: what is not accepted is not forwarded.
    await host.namespace.run(["iptables", "-P", "FORWARD", "DROP"]);
    nodes.push(await join(rig, host, { flags: options.flags ?? [] }));
  }
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

/** Starts an agent on a host and puts a container behind it. */
export async function join(
  rig: Rig,
  host: RigHost,
  options: Partial<AgentOptions> = {},
): Promise<Node> {
  const agent = await rig.startAgent(host, options);
  await agent.ready();
  const container = await host.addContainer(await agent.bridge());
  return { host, agent, container };
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

/** The parts of `loden status --json` that tests look at. */
export interface StatusView {
  readonly pid: number;
  readonly ready: boolean;
  readonly lease: { readonly subnet: string; readonly state: string } | null;
  readonly peers: readonly {
    readonly subnet: string;
    readonly publicIp: string;
    readonly stale: boolean;
  }[];
  readonly backend: { readonly counters: Record<string, number> } | null;
}

/** Asks a node's agent. */
export async function statusOf(node: Node): Promise<StatusView> {
  return await node.agent.status() as StatusView;
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
