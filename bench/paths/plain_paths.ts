/**
 * What the kernel does alone: plain routes, and VXLAN as flannel sets it up.
 *
 * @module
 */

import type { Rig } from "../../tests/rig/rig.ts";
import { createUnderlayRoutes } from "../../tests/rig/underlay_routes.ts";
import { createVxlan } from "../../tests/rig/vxlan.ts";
import { addContainers, type PathNode } from "./containers.ts";
import { setFirewallRules } from "./firewall_rules.ts";
import { SimplePath } from "./measured_path.ts";

/** No overlay: the upper bound. */
export async function createUnderlayPath(
  rig: Rig,
  signal: AbortSignal,
): Promise<SimplePath> {
  const nodes = await createUnderlayRoutes(rig.hosts, undefined, signal);
  return await finish("underlay", rig, nodes, "10.3.0.0/16", signal);
}

/** VNI 1, port 8472, MTU 1450. */
export async function createVxlanPath(
  rig: Rig,
  signal: AbortSignal,
): Promise<SimplePath> {
  const nodes = await createVxlan(rig.hosts, undefined, signal);
  return await finish("vxlan", rig, nodes, "10.2.0.0/16", signal);
}

async function finish(
  name: "underlay" | "vxlan",
  rig: Rig,
  nodes: readonly PathNode[],
  network: string,
  signal: AbortSignal,
): Promise<SimplePath> {
  for (const node of nodes) await setFirewallRules(node, network, signal);
  return new SimplePath(name, rig, await addContainers(rig, nodes, signal));
}
