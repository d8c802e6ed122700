/**
 * A path whose hosts run Loden's agent, and share an etcd on the switch.
 *
 * @module
 */

import type { Agent } from "../../tests/rig/agent.ts";
import type { LinkMode } from "../../tests/rig/link_mode.ts";
import type { Rig } from "../../tests/rig/rig.ts";
import type { MeasuredLink } from "../measure/link.ts";
import { addContainers } from "./containers.ts";
import { type MeasuredPath, signalAll } from "./measured_path.ts";
import type { LodenPathName } from "./path_names.ts";

const NETWORK = "10.1.0.0/16";
/** Until an agent is READY, also in a virtual machine without KVM. */
export const START_TIMEOUT_MS = 120_000;

/** What {@linkcode startAgents} has brought up. */
export interface StartedAgents {
  readonly agents: Agent[];
  readonly link: MeasuredLink;
}

/** Starts etcd and an agent on each host of a fresh rig, then the containers. */
export async function startAgents(
  rig: Rig,
  backend: object | undefined,
  flagsOf: (hostIndex: number) => readonly string[],
  signal: AbortSignal,
): Promise<StartedAgents> {
  await rig.startEtcd();
  await rig.publish({
    Network: NETWORK,
    ...backend === undefined ? {} : { Backend: backend },
  });
  const agents: Agent[] = [];
  for (const [index, host] of rig.hosts.entries()) {
    const agent = await rig.startAgent(host, { flags: flagsOf(index) });
    agents.push(agent);
    await agent.ready(START_TIMEOUT_MS, signal);
  }
  const nodes = await Promise.all(agents.map(async (agent, index) => ({
    host: rig.host(index),
    ...await agent.bridge(),
  })));
  return { agents, link: await addContainers(rig, nodes, signal) };
}

/** See the module. The agents log in JSON. */
export class AgentsPath implements MeasuredPath {
  readonly name: LodenPathName;
  readonly rig: Rig;
  readonly link: MeasuredLink;
  protected readonly agents: Agent[];

  constructor(
    name: LodenPathName,
    rig: Rig,
    { agents, link }: StartedAgents,
  ) {
    this.name = name;
    this.rig = rig;
    this.link = link;
    this.agents = agents;
  }

  processes(): readonly (readonly number[])[] {
    return this.agents.map(({ process }) => [process.pid]);
  }

  enterMode(mode: LinkMode, signal: AbortSignal): Promise<void> {
    return this.rig.setLinkMode(mode, signal);
  }

  freeze(): void {
    signalAll(this.processes().flat(), "SIGSTOP");
    this.rig.etcd.pause();
  }

  thaw(): void {
    this.rig.etcd.resume();
    signalAll(this.processes().flat(), "SIGCONT");
  }
}
