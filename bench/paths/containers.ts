/**
 * The two ends of a path: a container behind a bridge on each host.
 *
 * @module
 */

import type { BridgeOptions } from "../../tests/rig/container.ts";
import type { RigHost } from "../../tests/rig/host.ts";
import type { Rig } from "../../tests/rig/rig.ts";
import type { MeasuredLink } from "../measure/link.ts";

/** A host, and the bridge that the path wants there. */
export interface PathNode extends BridgeOptions {
  readonly host: RigHost;
}

/** The first node's container sends, the second's receives. */
export async function addContainers(
  rig: Rig,
  nodes: readonly PathNode[],
  signal: AbortSignal,
): Promise<MeasuredLink> {
  const containers = [];
  for (const { bip, host, mtuBytes } of nodes) {
    containers.push(await host.addContainer({ bip, mtuBytes }, signal));
  }
  const [client, server] = containers;
  return { client: client!, server: server!, directory: rig.directory };
}
