/**
 * Hosts that are put to the test, on one etcd: two with the kernel's data path
 * and one without, with traffic from the first to the others, a spare one for
 * what no stream could outlive, and a stranger without an agent.
 *
 * @module
 */

import type { StatusSnapshot } from "../../../agent/status/status_snapshot.ts";
import type { Agent, AgentOptions } from "../../rig/agent.ts";
import type { RigHost } from "../../rig/host.ts";
import type { Rig } from "../../rig/rig.ts";
import { BOTH_PATHS, type DataPath, traitsOf } from "../data_paths.ts";
import {
  eventually,
  type Node,
  type Overlay,
  type OverlayOptions,
  startOverlay,
  SUBNETS,
} from "../overlay.ts";
import { orphanedEtcdLeases } from "../../support/etcd_leases.ts";
import { untilAnswered } from "../traffic.ts";
import { FaultTraffic } from "./fault_traffic.ts";

export const PREFIX = "/coreos.com/network";
/** The place of the host that has no steady traffic. */
export const SPARE = 3;
/** How many hosts have an agent. */
const AGENTS = SPARE + 1;
const END_MS = 5_000;
/** Until an agent is READY, on a machine where others start as well. */
const READY_MS = 60_000;
/** Until everything is as before, on a busy machine. */
const WELL_MS = 45_000;

/** How the hosts were before a fault. */
export interface Bearings {
  /** Of each node, in their order. */
  readonly subnets: readonly string[];
  readonly pids: readonly number[];
}

/** See the module's text. */
export class FaultWorld implements AsyncDisposable {
  readonly #overlay: Overlay;

  private constructor(overlay: Overlay) {
    this.#overlay = overlay;
  }

  static async start(
    options: Partial<OverlayOptions> = {},
  ): Promise<FaultWorld> {
    return new FaultWorld(
      await startOverlay({
        setup: BOTH_PATHS,
        hosts: AGENTS + 1,
        agents: AGENTS,
        ...options,
      }),
    );
  }

  get rig(): Rig {
    return this.#overlay.rig;
  }

  get nodes(): readonly Node[] {
    return this.#overlay.nodes;
  }

  node(index: number): Node {
    return this.#overlay.node(index);
  }

  /** The host that has no steady traffic. */
  get spare(): Node {
    return this.node(SPARE);
  }

  /** A host on the same underlay that does not take part. */
  get stranger(): RigHost {
    return this.rig.host(AGENTS);
  }

  /** From the first host to each other one but the spare. */
  startTraffic(): Promise<FaultTraffic> {
    const [first, ...others] = this.nodes.slice(0, SPARE);
    return FaultTraffic.start(
      others.map((to) => ({
        rig: this.rig,
        from: first!.container,
        to: to.container,
      })),
    );
  }

  /** Whether pings to a host may be lost while these agents end and come back. */
  mayLose(to: number, restarted: readonly number[]): boolean {
    return [0, to].some((index) =>
      restarted.includes(index) &&
      !this.node(index).traits.flowsWithoutAgent
    );
  }

  status({ agent }: Node): Promise<StatusSnapshot> {
    return agent.status();
  }

  /** SIGKILL, and waits for the end. */
  async kill(place: number): Promise<void> {
    const { agent: { process } } = this.node(place);
    process.kill("SIGKILL");
    await process.ended(END_MS);
  }

  /** Starts an agent that has ended, and does not wait for it. */
  async launch(
    place: number,
    options: Partial<AgentOptions> = {},
  ): Promise<Agent> {
    const node = this.node(place);
    node.agent[Symbol.dispose]();
    node.agent = await this.rig.startAgent(node.host, {
      ...options,
      flags: [...node.flags, ...options.flags ?? []],
    });
    return node.agent;
  }

  /** Starts an agent that has ended, and waits until it is READY. */
  async start(
    place: number,
    options: Partial<AgentOptions> = {},
  ): Promise<void> {
    await (await this.launch(place, options)).ready(READY_MS);
  }

  /** {@linkcode kill} and {@linkcode start}. */
  async restart(
    place: number,
    options: Partial<AgentOptions> = {},
  ): Promise<void> {
    await this.kill(place);
    await this.start(place, options);
  }

  /** All at the same instant. */
  async restartAll(): Promise<void> {
    await Promise.all(this.nodes.map((_, place) => this.kill(place)));
    await Promise.all(this.nodes.map((_, place) => this.start(place)));
  }

  /**
   * A host goes down and comes back with its state directory and nothing else; a
   * new container of it takes the old one's place.
   */
  async reboot(place: number, dataPath: DataPath): Promise<void> {
    const node = this.node(place);
    const { dockerOptsFile, runDirectory, subnetFile } = node.agent.files;
    await this.kill(place);
    await node.container.namespace.destroy();
    await node.host.replug();
    await Deno.remove(runDirectory, { recursive: true });
    await Deno.remove(subnetFile);
    await Deno.remove(dockerOptsFile);
    node.traits = traitsOf(dataPath);
    await this.start(place, { flags: [`--datapath=${dataPath}`] });
    node.container = await node.host.addContainer(await node.agent.bridge());
  }

  /**
   * As Docker, started again after the host has got another subnet: a bridge and
   * a container with addresses of that.
   */
  async restartDocker(place: number): Promise<void> {
    const node = this.node(place);
    await node.container.namespace.destroy();
    await node.host.removeBridge();
    node.container = await node.host.addContainer(await node.agent.bridge());
  }

  /**
   * Revokes etcd's leases without a key: an agent that is killed between the two
   * calls that make a lease leaves one behind until its TTL is over. Throws when
   * there are more than `most`.
   *
   * An agent that started from saved state is between these two calls as soon as
   * etcd answers, and its lease would be taken for an orphan.
   */
  async revokeOrphans(most: number): Promise<void> {
    await eventually(
      "every agent has its lease from etcd",
      () => Promise.all(this.nodes.map((node) => this.status(node))),
      (all) => all.every(({ fromSavedState }) => !fromSavedState),
      WELL_MS,
    );
    const ctl = (...args: string[]) => this.anyMember(...args);
    const orphans = await orphanedEtcdLeases(ctl);
    if (orphans.length > most) {
      throw new Error(`nothing hangs on ${orphans.length} leases of etcd`);
    }
    for (const id of orphans) await ctl("lease", "revoke", id);
  }

  async subnetOf(node: Node): Promise<string> {
    const { lease } = await this.status(node);
    if (!lease?.subnet) throw new Error(`${node.host.name} has no lease`);
    return lease.subnet;
  }

  /** Whether packets pass between the first host's container and this one's. */
  async untilReached(place: number): Promise<void> {
    const [first, other] = [this.node(0).container, this.node(place).container];
    await untilAnswered(first.namespace, other.address);
    await untilAnswered(other.namespace, first.address);
  }

  /** The whole key of a node's lease. */
  async keyOf(node: Node): Promise<string> {
    return keyOf(await this.subnetOf(node));
  }

  /** Keys and values of all leases. */
  async leases(): Promise<Map<string, string>> {
    // As JSON: spoilt keys and values hold bytes that are not text.
    const said = await this.anyMember(
      ...["get", "--prefix", `${SUBNETS}/`, "--write-out=json"],
    );
    const { kvs = [] } = JSON.parse(said) as {
      kvs?: readonly { readonly key: string; readonly value?: string }[];
    };
    return new Map(kvs.map(({ key, value = "" }) => [atob(key), atob(value)]));
  }

  /** `etcdctl` at the first member that answers. */
  async anyMember(...args: string[]): Promise<string> {
    const errors: unknown[] = [];
    for (const member of this.rig.etcdMembers) {
      // `etcdctl lease list` would wait for it.
      if (!member.isRunning) continue;
      try {
        return await member.ctl(...args);
      } catch (error) {
        errors.push(error);
      }
    }
    throw new AggregateError(errors, `no member took ${args.join(" ")}`);
  }

  /** How things are now: to be compared with later. */
  async bearings(): Promise<Bearings> {
    const all = await Promise.all(this.nodes.map((node) => this.status(node)));
    return {
      subnets: all.map(({ lease }) => lease?.subnet ?? "none"),
      pids: all.map(({ pid }) => pid),
    };
  }

  /**
   * Waits until every agent holds the subnet that it had, knows every other one
   * and has nothing to complain of, one key is there for each, and nothing is
   * left behind in etcd.
   *
   * @param moves places of the hosts that have another subnet now, of their own
   */
  async untilWell(
    before: Bearings,
    moves: readonly number[] = [],
  ): Promise<void> {
    await eventually(
      "everything as before",
      () => this.complaints(before, moves),
      (complaints) => complaints.length === 0,
      WELL_MS,
    );
  }

  /** What is not as it was, for people; none when all is well. */
  async complaints(
    before: Bearings,
    moves: readonly number[] = [],
  ): Promise<string[]> {
    const all = await Promise.all(this.nodes.map((node) => this.status(node)));
    const subnets = before.subnets.map((subnet, index) =>
      moves.includes(index) ? all[index]!.lease?.subnet ?? "none" : subnet
    );
    const ofHosts = all.flatMap((status, index) => {
      const others = subnets.filter((_, other) => other !== index);
      return hostComplaints(status, subnets[index]!, others)
        .map((complaint) => `${this.node(index).host.name}: ${complaint}`);
    });
    const unmoved = moves
      .filter((index) => subnets[index] === before.subnets[index])
      .map((index) => `${this.node(index).host.name}: it has not moved`);
    return [...ofHosts, ...unmoved, ...await this.#etcdComplaints(subnets)];
  }

  async #etcdComplaints(subnets: readonly string[]): Promise<string[]> {
    try {
      const leases = await this.leases();
      const wrong = this.nodes.flatMap(({ host }, index) => {
        const key = keyOf(subnets[index]!);
        const keys = [...leases].filter(([, value]) =>
          value.includes(`"PublicIP":"${host.address}"`)
        ).map(([key]) => key);
        return keys.join() === key
          ? []
          : [`etcd: ${host.address} must have ${key}, and has ${keys}`];
      });
      const orphans = await orphanedEtcdLeases((...args) =>
        this.anyMember(...args)
      );
      return [
        ...wrong,
        ...orphans.map((id) => `etcd: nothing hangs on the lease ${id}`),
      ];
    } catch (error) {
      return [`etcd: ${error instanceof Error ? error.message : error}`];
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#overlay[Symbol.asyncDispose]();
  }
}

function hostComplaints(
  { backend, lease, peers, ready, warnings }: StatusSnapshot,
  subnet: string,
  others: readonly string[],
): string[] {
  const fresh = new Set(
    peers.filter(({ stale }) => !stale).map(({ subnet }) => subnet),
  );
  return [
    ...ready ? [] : ["it is not READY"],
    ...backend ? [] : ["it has no data path"],
    ...lease?.state === "held" ? [] : [`its lease is ${lease?.state}`],
    ...lease?.subnet === subnet
      ? []
      : [`it must have ${subnet}, and has ${lease?.subnet}`],
    ...others.filter((other) => !fresh.has(other))
      .map((other) => `${other} is no fresh peer of it`),
    ...peers.filter(({ probe, subnet }) =>
      others.includes(subnet) && probe?.state === "unreachable"
    ).map(({ subnet }) => `${subnet} does not answer probes`),
    // A fault may leave the lease of a host that it made up: it is unreachable.
    ...warnings.filter(({ code }) => code !== "peers.unreachable")
      .map(({ code, text }) => `warning ${code}: ${text}`),
  ];
}

/** The whole key of a subnet's lease. */
export function keyOf(subnet: string): string {
  return `${SUBNETS}/${subnet.replace("/", "-")}`;
}
