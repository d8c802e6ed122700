/**
 * What an agent costs: time to start, memory under load.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { Agent } from "../tests/rig/agent.ts";
import type { Rig } from "../tests/rig/rig.ts";
import { residentMemory } from "./measure/memory.ts";

const POLL_MS = 2;
const SAMPLE_MS = 250;
const START_TIMEOUT_MS = 20_000;

/** Runs the real agents of a rig. */
export interface MeasuredAgents {
  readonly agents: readonly Agent[];
  /** Milliseconds from exec to subnet.env, one for each start. */
  readonly startMs: readonly number[];
}

/**
 * Starts an agent on each host, `starts` times one after the other; the last
 * ones stay.
 */
export async function startMeasuredAgents(
  rig: Rig,
  starts: number,
  signal: AbortSignal,
): Promise<MeasuredAgents> {
  const startMs: number[] = [];
  const agents: Agent[] = [];
  for (const host of rig.hosts) {
    for (let left = starts; left > 0; left--) {
      const agent = await rig.startAgent(host, {
        flags: ["--datapath=tun"],
      });
      startMs.push(await untilSubnetFile(agent, signal));
      await agent.ready(START_TIMEOUT_MS, signal);
      if (left === 1) agents.push(agent);
      else {
        await agent.stop();
        agent[Symbol.dispose]();
        await Deno.remove(agent.files.subnetFile);
      }
    }
  }
  return { agents, startMs };
}

async function untilSubnetFile(
  agent: Agent,
  signal: AbortSignal,
): Promise<number> {
  const { process } = agent;
  for (;;) {
    try {
      await Deno.stat(agent.files.subnetFile);
      return performance.now() - process.startedAtMs;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    // Says why when the process has ended or takes too long.
    if (
      process.exitCode !== undefined ||
      performance.now() - process.startedAtMs > START_TIMEOUT_MS
    ) await agent.ready(0, signal);
    await delay(POLL_MS, { signal });
  }
}

/** The most memory that any of the agents had, taken while `work` goes on. */
export class MemoryWatch {
  readonly #pids: readonly number[];
  rssMb = 0;
  rssAnonMb = 0;

  constructor(pids: readonly number[]) {
    this.#pids = pids;
  }

  /** Does `work` and samples meanwhile. */
  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#sample();
    const timer = setInterval(() => this.#sample(), SAMPLE_MS);
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  }

  #sample(): void {
    for (const pid of this.#pids) {
      const { rssAnonMb, rssMb } = residentMemory(pid);
      this.rssMb = Math.max(this.rssMb, rssMb);
      this.rssAnonMb = Math.max(this.rssAnonMb, rssAnonMb);
    }
  }
}
