/**
 * Loden's udp backend, with its data paths and receive modes.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { Agent } from "../../tests/rig/agent.ts";
import { Daemon } from "../../tests/rig/daemon.ts";
import type { LinkMode } from "../../tests/rig/link_mode.ts";
import { lodenCommand } from "../../tests/rig/loden_program.ts";
import type { Rig } from "../../tests/rig/rig.ts";
import { AgentsPath, START_TIMEOUT_MS, startAgents } from "./agents_path.ts";
import {
  isMixedPathName,
  type MixedPathName,
  type PathName,
  type UdpPathName,
} from "./path_names.ts";
import { type DataPathStart, dataPathStart } from "./started_event.ts";

/** Those of the paths whose hosts carry packets in one way. */
export type UniformPathName = Exclude<UdpPathName, MixedPathName>;

/** How the agents of a path are started. */
const UNIFORM_FLAGS: Readonly<Record<UniformPathName, readonly string[]>> = {
  "udp-tun": ["--datapath=tun"],
  "udp-ebpf": ["--datapath=ebpf"],
  "udp-ebpf-xdp": ["--datapath=ebpf", "--ebpf-receive=xdp"],
  "udp-ebpf-gro": ["--datapath=ebpf", "--ebpf-receive=gro"],
  "udp-ebpf-direct": ["--datapath=ebpf", "--ebpf-receive=direct"],
};

/** The way of the first host, which sends, and of the second. */
const MIXED_PATHS: Readonly<
  Record<MixedPathName, readonly [UniformPathName, UniformPathName]>
> = {
  "udp-ebpf-to-tun": ["udp-ebpf", "udp-tun"],
  "udp-tun-to-ebpf": ["udp-tun", "udp-ebpf"],
  "udp-ebpf-monitored": ["udp-ebpf", "udp-ebpf"],
};

const POLL_MS = 2;

/** How to end an agent. */
export type StopSignal = "SIGTERM" | "SIGKILL";

/** Whether a path is the udp backend's. */
export function isUdpPathName(name: PathName): name is UdpPathName {
  return Object.hasOwn(UNIFORM_FLAGS, name) || isMixedPathName(name);
}

/** The flags that make an agent carry packets as a path has it. */
export function lodenFlags(name: UniformPathName): readonly string[] {
  return UNIFORM_FLAGS[name];
}

/** How a host of a path carries packets; the first one sends. */
export function wayOf(
  name: UdpPathName,
  hostIndex: number,
): UniformPathName {
  return isMixedPathName(name) ? MIXED_PATHS[name][hostIndex]! : name;
}

/** See the module. */
export class UdpPath extends AgentsPath {
  declare readonly name: UdpPathName;

  /** Starts etcd and the agents in a fresh rig. */
  static async create(
    name: UdpPathName,
    rig: Rig,
    signal: AbortSignal,
  ): Promise<UdpPath> {
    const flagsOf = (index: number) => lodenFlags(wayOf(name, index));
    const path = new UdpPath(
      name,
      rig,
      await startAgents(rig, undefined, flagsOf, signal),
    );
    await path.#startMonitors(signal);
    return path;
  }

  /** They end with the agents, and with the rig. */
  async #startMonitors(signal: AbortSignal): Promise<void> {
    if (this.name !== "udp-ebpf-monitored") return;
    await Promise.all(this.agents.map(async ({ files }, index) => {
      const { namespace } = this.rig.host(index);
      const monitor = new Daemon({
        name: `monitor of host ${index}`,
        command: [
          ...namespace.commandPrefix,
          ...lodenCommand(),
          ...["monitor", "--json", `--run-dir=${files.runDirectory}`],
        ],
        logFile: `${this.rig.directory}/${crypto.randomUUID()}.log`,
        env: { DENO_NO_UPDATE_CHECK: "1" },
      });
      await monitor.untilLogged(/"source"/, START_TIMEOUT_MS, signal);
    }));
  }

  /**
   * What `auto` chooses depends on what the underlay is like. The agents are
   * restarted, so that they have chosen, and logged it, before anything counts.
   */
  override async enterMode(mode: LinkMode, signal: AbortSignal): Promise<void> {
    await this.rig.setLinkMode(mode, signal);
    for (const index of this.agents.keys()) {
      if (wayOf(this.name, index) !== "udp-ebpf") continue;
      await this.stopAgent(index, "SIGTERM");
      await this.startAgent(index, [], signal);
    }
    // A program in a driver, which an agent has taken away only now, forbids the
    // other end's offloads.
    if (mode === "super") await this.rig.setLinkMode(mode, signal);
    await this.#startMonitors(signal);
  }

  /** What the agent of the second host, which receives, logged when it started. */
  lastStart(): DataPathStart {
    return dataPathStart(this.agents[1]!.process.log());
  }

  /** Ends the agent of a host and waits for that. */
  async stopAgent(index: number, how: StopSignal): Promise<void> {
    const agent = this.agents[index]!;
    if (how === "SIGTERM") await agent.stop();
    else {
      agent.process.kill("SIGKILL");
      await agent.process.ended(START_TIMEOUT_MS);
    }
    agent[Symbol.dispose]();
  }

  /**
   * Starts the agent of a host again and waits until it is READY.
   *
   * @param flags More of them; the last of equal ones counts.
   */
  async startAgent(
    index: number,
    flags: readonly string[],
    signal: AbortSignal,
  ): Promise<Agent> {
    const agent = await this.#spawn(index, flags);
    await agent.ready(START_TIMEOUT_MS, signal);
    return agent;
  }

  /**
   * Milliseconds from exec to subnet.env, and what the data path took of it: the
   * agent of the second host, stopped and started `starts` times.
   */
  async measureStarts(
    starts: number,
    signal: AbortSignal,
  ): Promise<{ startMs: number[]; loadMs: number[] }> {
    const startMs: number[] = [];
    const loadMs: number[] = [];
    for (let left = starts; left > 0; left--) {
      await this.stopAgent(1, "SIGTERM");
      await Deno.remove(this.agents[1]!.files.subnetFile);
      const agent = await this.#spawn(1, []);
      startMs.push(await untilSubnetFile(agent, signal));
      await agent.ready(START_TIMEOUT_MS, signal);
      const { loadMs: milliseconds } = this.lastStart();
      if (milliseconds !== undefined) loadMs.push(milliseconds);
    }
    return { startMs, loadMs };
  }

  async #spawn(index: number, flags: readonly string[]): Promise<Agent> {
    const agent = await this.rig.startAgent(this.rig.host(index), {
      flags: [...lodenFlags(wayOf(this.name, index)), ...flags],
    });
    this.agents[index] = agent;
    return agent;
  }
}

async function untilSubnetFile(
  { files, process }: Agent,
  signal: AbortSignal,
): Promise<number> {
  for (;;) {
    const passedMs = performance.now() - process.startedAtMs;
    try {
      await Deno.stat(files.subnetFile);
      return passedMs;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    if (process.exitCode !== undefined || passedMs > START_TIMEOUT_MS) {
      throw new Error(
        `Cannot measure the start: ${process.name} must write ` +
          `${files.subnetFile}: it says ${process.log()}`,
      );
    }
    await delay(POLL_MS, { signal });
  }
}
