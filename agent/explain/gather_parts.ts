/**
 * What the kernel answers to questions about a packet.
 *
 * @module
 */

import type { Inspection } from "../../backend/inspection.ts";
import {
  type HookVerdict,
  passHook,
} from "../../host/firewall/evaluate/chains.ts";
import type { HostChains } from "../../host/firewall/evaluate/read_chains.ts";
import {
  freshState,
  type TestPacket,
} from "../../host/firewall/evaluate/test_packet.ts";
import { SystemCallError } from "../../linux/errno.ts";
import type { RouteQuery, Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import type { OuterTraffic } from "../../net/underlay.ts";
import type { HostDevices } from "../instance/own_devices.ts";
import { asyncFactOf, type Fact, factOf, seen, valueOf } from "./fact.ts";
import type { Flow } from "./flow.ts";
import type { HostReader } from "./host_reader.ts";
import { isOwn } from "./place.ts";
import type {
  ContainerSearch,
  FirewallFacts,
  ReceiveSnapshot,
  RouteFacts,
} from "./snapshot.ts";

/** Who has the destination, on the link of a bridge. */
export async function gatherBehind(
  reader: HostReader,
  { destination, source }: Flow,
  bridge: HostDevices["links"][number] | undefined,
): Promise<Pick<ReceiveSnapshot, "container" | "neighbour">> {
  if (bridge === undefined) {
    return { container: undefined, neighbour: undefined };
  }
  return {
    container: await findContainer(reader, destination, source),
    neighbour: factOf(() =>
      reader.rtnetlink.neighbourEntries(bridge.index)
        .find(({ address }) => address === destination)
    ),
  };
}

/** The process with an address, seen from where it sends to `destination`. */
export function findContainer(
  reader: HostReader,
  address: Ipv4,
  destination: Ipv4,
): Promise<Fact<ContainerSearch>> {
  return asyncFactOf(() => reader.container(address, destination));
}

/** Outer packets that pass the host's own chains. */
export function filteredTraffic(
  inspection: Inspection | undefined,
): OuterTraffic | undefined {
  return inspection?.bypassesFirewall ? undefined : inspection?.traffic;
}

/** What every packet of the flow has in common at all hooks. */
export function innerPacket(
  { destination, port, protocol, sizeBytes, source }: Flow,
  host: HostDevices,
): Omit<TestPacket, "hook" | "arrivesOn" | "leavesBy" | "isSourceRouted"> {
  return {
    source,
    destination,
    protocol,
    port,
    sizeBytes,
    isLocal: (address) => isOwn(host, address),
  };
}

/**
 * The hooks one after the other, with the marks that the first ones set. If the
 * first may change the packet, what the next one drops is not sure.
 */
export function firewallFacts(
  chains: Fact<HostChains>,
  { hooks, packet }: {
    readonly packet: Omit<TestPacket, "hook">;
    readonly hooks: readonly TestPacket["hook"][];
  },
): Fact<FirewallFacts> {
  if (!chains.seen) return chains;
  const { chains: all, unread } = chains.value;
  const state = freshState();
  let verdict: HookVerdict = { verdict: "accept" };
  let at = hooks.join(" and ");
  for (const hook of hooks) {
    const next = passHook(all, { ...packet, hook }, state);
    if (next.verdict === "accept") continue;
    if (verdict.verdict === "accept") {
      at = hook;
      verdict = next;
    }
    if (verdict.verdict === "drop") break;
  }
  return seen({ verdict, hook: at, unread });
}

/** Whether the kernel routes to the source by the device of its arrival. */
export function isRoutedBack(
  reader: HostReader,
  source: Ipv4,
  arrivalIndex: number,
): boolean | undefined {
  const route = valueOf(factOf(() => routeFacts(reader, source, {})));
  if (route === undefined) return undefined;
  return route.kind === "found" && route.answer.interfaceIndex === arrivalIndex;
}

/** The kernel's answer, a refusal included. */
export function routeFacts(
  { rtnetlink }: { readonly rtnetlink: Pick<Rtnetlink, "routeTo"> },
  destination: Ipv4,
  query: RouteQuery,
): RouteFacts {
  try {
    return { kind: "found", answer: rtnetlink.routeTo(destination, query) };
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    return { kind: "refused", errno: error.errno, text: error.message };
  }
}

/** Whether packets between the ports of a bridge pass iptables. */
export const BRIDGE_NETFILTER = "net/bridge/bridge-nf-call-iptables";

/** The kernel's settings for packets that arrive on a device. */
export function settingsOf(
  reader: HostReader,
  device: string | undefined,
): ReadonlyMap<string, string> {
  const paths = [
    "net/ipv4/ip_forward",
    BRIDGE_NETFILTER,
    "net/ipv4/conf/all/rp_filter",
    ...device === undefined ? [] : [
      `net/ipv4/conf/${device}/forwarding`,
      `net/ipv4/conf/${device}/rp_filter`,
    ],
  ];
  return new Map(paths.flatMap((path) => {
    const value = reader.setting(path);
    return value === undefined ? [] : [[path, value]];
  }));
}
