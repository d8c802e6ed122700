/**
 * The ways from container to container that are compared, all up at once
 * between the same two hosts, each with containers and bridges of its own.
 *
 * @module
 */

import type { Agent } from "../tests/rig/agent.ts";
import type { RigHost } from "../tests/rig/host.ts";
import type { Rig } from "../tests/rig/rig.ts";
import { createUnderlayRoutes } from "../tests/rig/underlay_routes.ts";
import { createVxlan } from "../tests/rig/vxlan.ts";
import type { MeasuredLink } from "./measure/link.ts";
import type { PathName } from "./report.ts";

/** A path that is up. */
export interface BenchPath {
  readonly name: PathName;
  readonly link: MeasuredLink;
}

interface Node {
  readonly host: RigHost;
  readonly bip: string;
  readonly mtuBytes: number;
}

/** Makes one path; `agents` run already when `udp-tun` is asked for. */
export async function createPath(
  rig: Rig,
  name: PathName,
  agents: readonly Agent[],
  signal: AbortSignal,
): Promise<BenchPath> {
  const containers = [];
  for (
    const { host, bip, mtuBytes } of await nodes(rig, name, agents, signal)
  ) {
    const bridge = { bip, mtuBytes, name: `br-${name}` };
    containers.push(await host.addContainer(bridge, signal));
  }
  const [client, server] = containers;
  return {
    name,
    link: { client: client!, server: server!, directory: rig.directory },
  };
}

async function nodes(
  rig: Rig,
  name: PathName,
  agents: readonly Agent[],
  signal: AbortSignal,
): Promise<readonly Node[]> {
  switch (name) {
    case "underlay":
      return createUnderlayRoutes(rig.hosts, undefined, signal);
    case "vxlan":
      return createVxlan(rig.hosts, undefined, signal);
    case "udp-tun":
      return await Promise.all(
        agents.map(async (agent, index) => ({
          host: rig.host(index),
          ...await agent.bridge(),
        })),
      );
  }
}
