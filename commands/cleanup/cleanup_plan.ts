/**
 * What a stopped agent has left on this host, and how to remove it.
 *
 * @module
 */

import { deviceAlias, type Footprint } from "../../agent/instance/footprint.ts";
import type { Leftover } from "../../backend/leftovers.ts";
import type { RuleSet } from "../../host/firewall/firewall.ts";
import type { Route, Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import { equalCidr, formatCidr, isWithin } from "../../net/cidr.ts";
import { ROUTE_PROTOCOL } from "../../backend/reconcile/kernel_state.ts";
import {
  planProgramRemoval,
  type RemovalParts,
} from "../../backend/udp/ebpf/remove.ts";
import { SystemCallError } from "../../linux/errno.ts";

/** One thing to remove. */
export interface CleanupStep {
  /** What it is, as in "would remove …". */
  readonly what: string;
  readonly remove: () => Promise<unknown> | unknown;
  /** Whether it records what else is to be removed. */
  readonly isRecord?: true;
}

/** What is inspected. */
export interface CleanupComponents {
  readonly rtnetlink: Rtnetlink;
  /**
   * The programs at other devices than the overlay's that belong to the network
   * with this alias, in the order in which they can go.
   */
  readonly planPrograms: (alias: string) => readonly CleanupStep[];
  /** The rules of every tool that works here. */
  readonly firewalls: readonly RuleSet[];
  /** Whether there is such a file. */
  readonly exists: (path: string) => Promise<boolean>;
  readonly removeFile: (path: string) => Promise<void>;
  /** What flannel's backends have left; only with `--take-over-devices`. */
  readonly leftovers?: readonly Leftover[];
}

/**
 * An agent's safety routes have a metric that no other program uses, so an
 * administrator's own unreachable route stays.
 */
const LEAST_METRIC = 0x1000_0000;

/**
 * Rules are removed before routes, so that packets never leave by the default
 * route with a wrong masquerade. Programs on the underlay are removed before
 * the devices that they redirect packets to. Programs on the overlay devices
 * are removed together with them: a device without its programs would return
 * the packets routed to it to the host.
 */
export async function planCleanup(
  etcdPrefix: string,
  footprint: Footprint | undefined,
  components: CleanupComponents,
  signal: AbortSignal,
): Promise<CleanupStep[]> {
  const alias = deviceAlias(etcdPrefix);
  return [
    ...(footprint === undefined ? [] : await planFiles(footprint, components)),
    ...components.planPrograms(alias),
    ...planDevices(alias, components.rtnetlink),
    ...(components.leftovers ?? []).map(({ what, remove }) => ({
      what,
      remove: () => remove(components.rtnetlink),
    })),
    ...(footprint === undefined
      ? []
      : await planFirewalls(footprint, components.firewalls, signal)),
    ...(footprint === undefined
      ? []
      : planRoutes(footprint, components.rtnetlink)),
  ];
}

async function planFiles(
  { files }: Footprint,
  { exists, removeFile }: CleanupComponents,
): Promise<CleanupStep[]> {
  const present: CleanupStep[] = [];
  for (const path of files) {
    if (!await exists(path)) continue;
    present.push({ what: `file ${path}`, remove: () => removeFile(path) });
  }
  return present;
}

function planDevices(alias: string, rtnetlink: Rtnetlink): CleanupStep[] {
  const ours = rtnetlink.links().filter((link) => link.alias === alias);
  const steps: CleanupStep[] = [];
  const paired = new Set<number>();
  for (const { name, index, peerIndex } of ours) {
    if (paired.has(index)) continue;
    const peer = ours.find((other) => other.index === peerIndex);
    if (peer !== undefined) paired.add(peer.index);
    steps.push({
      what: peer === undefined
        ? `device ${name} (alias ${alias})`
        : `devices ${name} and ${peer.name} (alias ${alias})`,
      // Deleting one end of a pair deletes the other end and the programs of
      // both.
      remove: () => rtnetlink.deleteLink(index),
    });
  }
  return steps;
}

async function planFirewalls(
  { network }: Footprint,
  firewalls: readonly RuleSet[],
  signal: AbortSignal,
): Promise<CleanupStep[]> {
  const steps: CleanupStep[] = [];
  for (const firewall of firewalls) {
    const lines = await firewall.remove({ network, dryRun: true }, signal);
    if (lines.length === 0) continue;
    steps.push({
      what: `${firewall.tool} rules of ${formatCidr(network)}: ${
        lines.join("; ")
      }`,
      remove: () => firewall.remove({ network }, signal),
    });
  }
  return steps;
}

function planRoutes(
  { network, subnet }: Footprint,
  rtnetlink: Rtnetlink,
): CleanupStep[] {
  const isSafetyRoute = ({ type, destination, metric }: Route) =>
    (type === "unreachable" || type === "blackhole") &&
    metric >= LEAST_METRIC &&
    (equalCidr(destination, network) || equalCidr(destination, subnet));
  const isPeers = ({ destination, protocol, type }: Route) =>
    type === "unicast" && protocol === ROUTE_PROTOCOL &&
    isWithin(destination, network);
  const all = rtnetlink.routes();
  const peers = all.filter(isPeers).map((route) => ({
    destination: route.destination,
    metric: route.metric,
  }));
  return [
    ...(peers.length === 0 ? [] : [{
      what: `routes to ${peers.length} peers`,
      remove: () => rtnetlink.removeRoutes(peers),
    }]),
    ...all.filter(isSafetyRoute).map((route) => ({
      what: `route ${route.type} ${formatCidr(route.destination)}`,
      remove: () =>
        rtnetlink.removeRoute({
          destination: route.destination,
          type: route.type === "blackhole" ? "blackhole" : "unreachable",
          metric: route.metric,
        }),
    })),
  ];
}

/**
 * One step for each device that has some. If the kernel does not list programs,
 * the result is one step that fails, provided that the network has a device
 * that needs programs; otherwise no agent can have loaded any.
 */
export function planPrograms(
  parts: RemovalParts,
  alias: string,
): CleanupStep[] {
  try {
    return planProgramRemoval(parts, alias);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const isInKernel = parts.rtnetlink.links().some((link) =>
      link.alias === alias && link.kind === "veth"
    );
    return !isInKernel ? [] : [{
      what: "programs at the underlay",
      remove: () => {
        throw error;
      },
    }];
  }
}
