/**
 * Gathers the snapshots. What cannot be looked at becomes an unseen fact; nothing
 * throws but an abort.
 *
 * @module
 */

import { backendOf, isBackend } from "../../backend/backends.ts";
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
import { describeError, LodenError } from "../../errors.ts";
import { SystemCallError } from "../../linux/errno.ts";
import { isProcessGone } from "../../linux/proc_error.ts";
import type { Link, RouteQuery } from "../../linux/netlink/rtnetlink.ts";
import { parseCidr } from "../../net/cidr.ts";
import type { Finding } from "../../net/finding.ts";
import { type Ipv4, parseIpv4 } from "../../net/ipv4.ts";
import type { OuterTraffic } from "../../net/underlay.ts";
import { deviceAlias, type Footprint } from "../instance/footprint.ts";
import type { PeerStatus, StatusSnapshot } from "../status/state.ts";
import { type Fact, seen, unseen, valueOf } from "./fact.ts";
import type { Flow } from "./flow.ts";
import type { Looks } from "./looks.ts";
import { isSilent } from "./neighbour.ts";
import { isOwn, linkOf, peerOf, wayOf } from "./place.ts";
import type {
  ContainerLook,
  Devices,
  Echoes,
  FirewallSight,
  OverlaySight,
  PeerSight,
  ReceiveSnapshot,
  RouteSight,
  SendSnapshot,
} from "./snapshot.ts";

/** What both sides look at first. */
export interface HostSight {
  readonly devices: Fact<Devices>;
  readonly overlay: Fact<OverlaySight>;
  readonly peers: Fact<readonly PeerSight[]>;
}

/** Devices, the overlay and its peers. */
export async function lookAtHost(looks: Looks): Promise<HostSight> {
  const devices = look(() => ({
    links: looks.rtnetlink.links(),
    addresses: looks.rtnetlink.addresses(),
  }));
  const [status, footprint] = await Promise.all([
    lookLater(() => looks.status()),
    lookLater(() => looks.footprint()),
  ]);
  return {
    devices,
    overlay: overlaySight(status, footprint, devices),
    peers: status.seen ? seen(peerSights(status.value)) : await savedPeers(
      looks,
      status.why,
    ),
  };
}

/** Everything about the sending side but what the peer answers. */
export async function gatherSending(
  looks: Looks,
  { devices, overlay, peers }: HostSight,
  flow: Flow,
  signal: AbortSignal,
): Promise<SendSnapshot> {
  const host = valueOf(devices) ?? { links: [], addresses: [] };
  const bridge = isOwn(host, flow.source)
    ? undefined
    : linkOf(host, flow.source);
  const isForwarded = !isOwn(host, flow.source);
  const isBridged = bridge?.kind === "bridge" &&
    !isOwn(host, flow.destination) &&
    linkOf(host, flow.destination)?.index === bridge.index;
  const route = isForwarded && bridge === undefined
    ? unseen("the source is not on this host")
    : look(() =>
      routeSight(looks, flow.destination, {
        source: flow.source,
        ...bridge !== undefined && !isBridged && {
          arrivesByIndex: bridge.index,
        },
      })
    );
  const peer = peerOf(valueOf(peers) ?? [], flow.destination);
  const sight = valueOf(overlay);
  const way = wayOf(valueOf(route), host.links, sight?.devices ?? [], peer);
  const isCarried = way?.kind === "overlay" || way?.kind === "direct";
  const chains = await lookLater(() => looks.chains(signal));
  const leavesBy = way !== undefined && way.kind !== "here"
    ? way.link.name
    : undefined;
  const settings = settingsOf(looks, bridge?.name);
  const isSourceRouted = bridge === undefined
    ? undefined
    : isRoutedBack(looks, flow.source, bridge.index);
  const isFiltered = !isBridged || settings.get(BRIDGE_NETFILTER) === "1";
  const firewall = isFiltered
    ? firewallSight(chains, {
      packet: {
        ...inner(flow, host),
        arrivesOn: bridge?.name,
        leavesBy,
        isSourceRouted,
      },
      hooks: bridge === undefined
        ? ["output"]
        : way?.kind === "here"
        ? ["prerouting", "input"]
        : ["prerouting", "forward"],
    })
    : undefined;
  const carried = isCarried && peer !== undefined ? peer : undefined;
  const inspection = carried && look(() =>
    looks.inspect({
      direction: "send",
      backendType: carried.backendType,
      peer: carried,
      destination: flow.destination,
    })
  );
  const outerRoute = carried &&
    look(() => routeSight(looks, carried.publicIp, {}));
  const outer = outerRoute && valueOf(outerRoute);
  const outerLink = outer?.kind === "found"
    ? host.links.find(({ index }) => index === outer.answer.interfaceIndex)
    : undefined;
  const traffic = filteredTraffic(inspection && valueOf(inspection));
  const underlayMtu = outer?.kind === "found"
    ? outer.answer.mtuBytes ?? outerLink?.mtuBytes
    : undefined;
  return {
    flow,
    devices,
    overlay,
    peers,
    peer,
    container: isForwarded && bridge !== undefined
      ? await lookForContainer(looks, flow.source, flow.destination)
      : undefined,
    isBridged,
    settings,
    isSourceRouted,
    route,
    way,
    firewall,
    inspection,
    outerRoute,
    outerFirewall: traffic === undefined || way?.kind !== "overlay"
      ? undefined
      : firewallSight(chains, {
        packet: {
          source: (outer?.kind === "found" ? outer.answer.source : undefined) ??
            sight?.underlay?.address ?? carried!.publicIp,
          destination: carried!.publicIp,
          protocol: traffic.protocol,
          port: traffic.port,
          sizeBytes: flow.sizeBytes,
          isLocal: (address) => isOwn(host, address),
          arrivesOn: undefined,
          leavesBy: outerLink?.name,
          isSourceRouted: undefined,
        },
        hooks: ["output", "postrouting"],
      }),
    neighbour: nextHop(looks, { devices, outerRoute, peer }, false),
    mostBytes: carried === undefined || underlayMtu === undefined
      ? undefined
      : way?.kind === "direct"
      ? underlayMtu
      : looks.mostBytes(carried.backendType, underlayMtu),
    echoes: undefined,
    answer: undefined,
  };
}

/**
 * The same with what came back from the peer, and with the neighbour, whom the
 * kernel has asked for by now.
 */
export function withAnswer(
  looks: Looks,
  snapshot: SendSnapshot,
  answer: Fact<readonly Finding[]> | undefined,
  echoes: Echoes | undefined,
): SendSnapshot {
  const before = snapshot.neighbour && valueOf(snapshot.neighbour);
  const wasSilent = before?.entry !== undefined && isSilent(before.entry);
  const neighbour = nextHop(looks, snapshot, wasSilent);
  return { ...snapshot, answer, echoes, neighbour };
}

/** `undefined` where there is none to be asked for. */
function nextHop(
  { rtnetlink }: Looks,
  { devices, outerRoute, peer }: Pick<
    SendSnapshot,
    "devices" | "outerRoute" | "peer"
  >,
  wasSilent: boolean,
): SendSnapshot["neighbour"] {
  const route = outerRoute && valueOf(outerRoute);
  if (route?.kind !== "found") return undefined;
  const { gateway, interfaceIndex } = route.answer;
  const hop = gateway ?? peer?.publicIp;
  const link = valueOf(devices)?.links.find(({ index }) =>
    index === interfaceIndex
  );
  if (link === undefined || link.noArp || link.loopback) return undefined;
  return look(() => ({
    wasSilent,
    entry: rtnetlink.neighbourEntries(link.index)
      .find(({ address }) => address === hop),
  }));
}

/** @param outerSource from where the sender says that its outer packets come. */
export async function gatherReceiving(
  looks: Looks,
  { devices, overlay, peers }: HostSight,
  flow: Flow,
  outerSource: Ipv4 | undefined,
  signal: AbortSignal,
): Promise<ReceiveSnapshot> {
  const host = valueOf(devices) ?? { links: [], addresses: [] };
  const sight = valueOf(overlay);
  const peer = peerOf(valueOf(peers) ?? [], flow.source);
  const outer = peer &&
    valueOf(look(() => routeSight(looks, peer.publicIp, {})));
  const underlay = outer?.kind === "found"
    ? host.links.find(({ index }) => index === outer.answer.interfaceIndex)
    : undefined;
  const back = valueOf(look(() => routeSight(looks, flow.source, {})));
  const wayBack = wayOf(back, host.links, sight?.devices ?? [], peer);
  // Without a device of its own, the overlay's packets come by the underlay.
  const arrival = wayBack?.kind === "direct"
    ? wayBack.link
    : host.links.find(({ name }) => name === sight?.device) ?? underlay;
  const inspection = peer && look(() =>
    looks.inspect({
      direction: "receive",
      backendType: peer.backendType,
      peer,
      underlay: underlay?.name ?? sight?.underlay?.interfaceName ?? "",
    })
  );
  const traffic = filteredTraffic(inspection && valueOf(inspection));
  const isSourceRouted = arrival === undefined
    ? undefined
    : isRoutedBack(looks, flow.source, arrival.index);
  const route = arrival === undefined
    ? unseen("the device on which the packet arrives is not known")
    : look(() =>
      routeSight(looks, flow.destination, {
        source: flow.source,
        arrivesByIndex: arrival.index,
      })
    );
  const way = wayOf(
    valueOf(route),
    host.links,
    sight?.devices ?? [],
    undefined,
  );
  const chains = await lookLater(() => looks.chains(signal));
  return {
    flow,
    outerSource,
    devices,
    overlay,
    peers,
    settings: settingsOf(looks, arrival?.name),
    isSourceRouted,
    arrivesOn: arrival?.name,
    inspection,
    outerFirewall: traffic === undefined || wayBack?.kind === "direct"
      ? undefined
      : firewallSight(chains, {
        packet: {
          source: outerSource ?? peer!.publicIp,
          destination: sight?.underlay?.address ?? peer!.publicIp,
          protocol: traffic.protocol,
          port: traffic.port,
          sizeBytes: flow.sizeBytes,
          isLocal: (address) => isOwn(host, address),
          arrivesOn: underlay?.name,
          leavesBy: undefined,
          isSourceRouted: true,
        },
        hooks: ["prerouting", "input"],
      }),
    route,
    way,
    firewall: firewallSight(chains, {
      packet: {
        ...inner(flow, host),
        arrivesOn: arrival?.name,
        leavesBy: way?.kind === "link" ? way.link.name : undefined,
        isSourceRouted,
      },
      hooks: way?.kind === "here"
        ? ["prerouting", "input"]
        : ["prerouting", "forward"],
    }),
    ...await lookBehind(
      looks,
      flow,
      way?.kind === "link" ? way.link : undefined,
    ),
  };
}

/** The end of a way between two addresses of one host. */
export async function gatherLocal(
  looks: Looks,
  sending: SendSnapshot,
): Promise<ReceiveSnapshot> {
  const { devices, flow, isSourceRouted, overlay, peers, route } = sending;
  const { settings, way } = sending;
  return {
    flow,
    outerSource: undefined,
    devices,
    overlay,
    peers,
    settings,
    isSourceRouted,
    arrivesOn: undefined,
    inspection: undefined,
    outerFirewall: undefined,
    route,
    way,
    firewall: sending.firewall ?? unseen("a bridge carries the packet"),
    ...await lookBehind(
      looks,
      flow,
      way?.kind === "link" ? way.link : undefined,
    ),
  };
}

async function lookBehind(
  looks: Looks,
  { destination, source }: Flow,
  bridge: Devices["links"][number] | undefined,
): Promise<Pick<ReceiveSnapshot, "container" | "neighbour">> {
  if (bridge === undefined) {
    return { container: undefined, neighbour: undefined };
  }
  return {
    container: await lookForContainer(looks, destination, source),
    neighbour: look(() =>
      looks.rtnetlink.neighbourEntries(bridge.index)
        .find(({ address }) => address === destination)
    ),
  };
}

function lookForContainer(
  looks: Looks,
  address: Ipv4,
  destination: Ipv4,
): Promise<Fact<ContainerLook>> {
  return lookLater(() => looks.container(address, destination));
}

/** Outer packets that pass the host's own chains. */
function filteredTraffic(
  inspection: Inspection | undefined,
): OuterTraffic | undefined {
  return inspection?.bypassesFirewall ? undefined : inspection?.traffic;
}

/** What every packet of the flow has in common at all hooks. */
function inner(
  { destination, port, protocol, sizeBytes, source }: Flow,
  host: Devices,
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
function firewallSight(
  chains: Fact<HostChains>,
  { hooks, packet }: {
    readonly packet: Omit<TestPacket, "hook">;
    readonly hooks: readonly TestPacket["hook"][];
  },
): Fact<FirewallSight> {
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
function isRoutedBack(
  looks: Looks,
  source: Ipv4,
  arrivalIndex: number,
): boolean | undefined {
  const route = valueOf(look(() => routeSight(looks, source, {})));
  if (route === undefined) return undefined;
  return route.kind === "found" && route.answer.interfaceIndex === arrivalIndex;
}

function routeSight(
  { rtnetlink }: Looks,
  destination: Ipv4,
  query: RouteQuery,
): RouteSight {
  try {
    return { kind: "found", answer: rtnetlink.routeTo(destination, query) };
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    return { kind: "refused", errno: error.errno, text: error.message };
  }
}

/** Whether packets between the ports of a bridge pass iptables. */
const BRIDGE_NETFILTER = "net/bridge/bridge-nf-call-iptables";

function settingsOf(
  looks: Looks,
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
    const value = looks.setting(path);
    return value === undefined ? [] : [[path, value]];
  }));
}

function overlaySight(
  status: Fact<StatusSnapshot>,
  footprint: Fact<Footprint | undefined>,
  devices: Fact<Devices>,
): Fact<OverlaySight> {
  const left = valueOf(footprint);
  const { backend, network, overlay, subnet, underlay } = valueOf(status) ?? {};
  const networkCidr = (network && parseCidr(network)) || left?.network;
  const subnetCidr = (subnet && parseCidr(subnet)) || left?.subnet;
  const backendType = backend?.type ?? left?.backends?.[0]?.type;
  if (
    networkCidr === undefined || subnetCidr === undefined ||
    backendType === undefined
  ) {
    return unseen(
      status.seen ? "the agent has no network yet" : `${status.why}` +
        (footprint.seen ? "" : `; ${footprint.why}`),
    );
  }
  const prefix = valueOf(status)?.etcdPrefix ?? left?.etcdPrefix;
  const ours = prefix === undefined
    ? []
    : (valueOf(devices)?.links ?? []).filter(({ alias }) =>
      alias === deviceAlias(prefix)
    );
  return seen({
    network: networkCidr,
    subnet: subnetCidr,
    backendType,
    device: overlay?.device ?? ownDevice(ours, subnetCidr.address, devices),
    devices: [
      ...new Set([
        ...overlay?.device ? [overlay.device] : [],
        ...ours.map(({ name }) => name),
      ]),
    ],
    isBlind: isBlind(backendType),
    underlay: underlay === undefined || underlay === null ? undefined : {
      interfaceName: underlay.interface,
      address: parseIpv4(underlay.address)!,
      publicIp: parseIpv4(underlay.publicIp)!,
    },
    masquerade: left?.firewall?.masquerade,
    forwardRules: left?.firewall?.forward,
  });
}

/** Without an agent: the one of the network's devices that has the address. */
function ownDevice(
  ours: readonly Link[],
  address: Ipv4,
  devices: Fact<Devices>,
): string | undefined {
  const { addresses = [] } = valueOf(devices) ?? {};
  return ours.find(({ index }) =>
    addresses.some((each) =>
      each.interfaceIndex === index && each.address === address
    )
  )?.name;
}

/** Whether it has no device and no routes by the underlay. */
function isBlind(backendType: string): boolean {
  if (!isBackend(backendType)) return true;
  const { deviceName, routesByUnderlay } = backendOf(backendType);
  return deviceName({}, "flannel0") === undefined &&
    routesByUnderlay === undefined;
}

function peerSights({ peers }: StatusSnapshot): PeerSight[] {
  return peers.flatMap((peer): PeerSight[] => {
    const subnet = parseCidr(peer.subnet);
    const publicIp = parseIpv4(peer.publicIp);
    if (subnet === undefined || publicIp === undefined) return [];
    const { backendType, confirmed, stale } = peer;
    const probe = probeSight(peer);
    return [{ subnet, publicIp, backendType, stale, confirmed, probe }];
  });
}

function probeSight({ probe }: PeerStatus): PeerSight["probe"] {
  return probe
    ? {
      state: probe.state,
      hasAnswered: probe.lastAnswer !== null,
      largestBytes: probe.mtuBytes ?? undefined,
    }
    : undefined;
}

/** @param why there is no agent to ask. */
async function savedPeers(
  looks: Looks,
  why: string,
): Promise<Fact<readonly PeerSight[]>> {
  const saved = await lookLater(() => looks.savedPeers());
  if (!saved.seen) return unseen(why);
  return seen(saved.value.map((peer): PeerSight => {
    const { backendType, publicIp, stale, subnet } = peer;
    return {
      ...{ subnet, publicIp, backendType, stale },
      confirmed: null,
      isSaved: true,
      probe: undefined,
    };
  }));
}

function look<T>(what: () => T): Fact<T> {
  try {
    return seen(what());
  } catch (error) {
    return unseen(reasonOf(error));
  }
}

/** The same for what takes time. */
export async function lookLater<T>(what: () => Promise<T>): Promise<Fact<T>> {
  try {
    return seen(await what());
  } catch (error) {
    return unseen(reasonOf(error));
  }
}

/** @throws the error, if it is a defect and not what the system answers. */
function reasonOf(error: unknown): string {
  const isExpected = error instanceof LodenError || isProcessGone(error) ||
    error instanceof DOMException;
  if (!isExpected) throw error;
  return describeError(error);
}
