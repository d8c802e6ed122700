/**
 * Gathers the facts about the sending host. What cannot be read becomes an
 * unseen fact.
 *
 * @module
 */

import { NO_DEVICES } from "../instance/own_devices.ts";
import { asyncFactOf, factOf, unseen, valueOf } from "./fact.ts";
import type { Flow } from "./flow.ts";
import type { HostFacts } from "./gather_host.ts";
import type { HostReader } from "./host_reader.ts";
import {
  isOwn,
  isSilent,
  linkOf,
  linkOfRoute,
  peerOf,
  wayOf,
} from "./place.ts";
import {
  BRIDGE_NETFILTER,
  filteredTraffic,
  findContainer,
  firewallFacts,
  innerPacket,
  isRoutedBack,
  routeFacts,
  settingsOf,
} from "./gather_parts.ts";
import type { SendSnapshot } from "./snapshot.ts";

/** Everything about the sending side but what the peer answers. */
export async function gatherSending(
  reader: HostReader,
  { devices, overlay, peers }: HostFacts,
  flow: Flow,
  signal: AbortSignal,
): Promise<SendSnapshot> {
  const host = valueOf(devices) ?? NO_DEVICES;
  const bridge = isOwn(host, flow.source)
    ? undefined
    : linkOf(host, flow.source);
  const isForwarded = !isOwn(host, flow.source);
  const isBridged = bridge?.kind === "bridge" &&
    !isOwn(host, flow.destination) &&
    linkOf(host, flow.destination)?.index === bridge.index;
  const route = isForwarded && bridge === undefined
    ? unseen("the source is not on this host")
    : factOf(() =>
      routeFacts(reader, flow.destination, {
        source: flow.source,
        ...bridge !== undefined && !isBridged && {
          arrivesByIndex: bridge.index,
        },
      })
    );
  const peer = peerOf(valueOf(peers) ?? [], flow.destination);
  const own = valueOf(overlay);
  const way = wayOf(valueOf(route), host.links, own?.devices ?? [], peer);
  const isCarried = way?.kind === "overlay" || way?.kind === "direct";
  const chains = await asyncFactOf(() => reader.chains(signal));
  const leavesBy = way !== undefined && way.kind !== "here"
    ? way.link.name
    : undefined;
  const settings = settingsOf(reader, bridge?.name);
  const isSourceRouted = bridge === undefined
    ? undefined
    : isRoutedBack(reader, flow.source, bridge.index);
  const isFiltered = !isBridged || settings.get(BRIDGE_NETFILTER) === "1";
  const firewall = isFiltered
    ? firewallFacts(chains, {
      packet: {
        ...innerPacket(flow, host),
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
  const inspection = carried && factOf(() =>
    reader.inspect({
      direction: "send",
      backendType: carried.backendType,
      peer: carried,
      destination: flow.destination,
    })
  );
  const outerRoute = carried &&
    factOf(() => routeFacts(reader, carried.publicIp, {}));
  const outer = outerRoute && valueOf(outerRoute);
  const outerLink = linkOfRoute(host, outer);
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
      ? await findContainer(reader, flow.source, flow.destination)
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
      : firewallFacts(chains, {
        packet: {
          source: (outer?.kind === "found" ? outer.answer.source : undefined) ??
            own?.underlay?.address ?? carried!.publicIp,
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
    neighbour: nextHop(reader, { devices, outerRoute, peer }, false),
    mostBytes: carried === undefined || underlayMtu === undefined
      ? undefined
      : way?.kind === "direct"
      ? underlayMtu
      : reader.mostBytes(carried.backendType, underlayMtu),
    echoes: undefined,
    trace: undefined,
    answer: undefined,
  };
}

/**
 * What came back from the peer, with the neighbour, which the kernel has asked for by
 * now.
 */
export function withAnswer(
  reader: HostReader,
  snapshot: SendSnapshot,
): SendSnapshot {
  const before = snapshot.neighbour && valueOf(snapshot.neighbour);
  const wasSilent = before?.entry !== undefined && isSilent(before.entry);
  const neighbour = nextHop(reader, snapshot, wasSilent);
  return { ...snapshot, neighbour };
}

/** `undefined` where there is none to be asked for. */
function nextHop(
  { rtnetlink }: HostReader,
  { devices, outerRoute, peer }: Pick<
    SendSnapshot,
    "devices" | "outerRoute" | "peer"
  >,
  wasSilent: boolean,
): SendSnapshot["neighbour"] {
  const route = outerRoute && valueOf(outerRoute);
  if (route?.kind !== "found") return undefined;
  const hop = route.answer.gateway ?? peer?.publicIp;
  const link = linkOfRoute(valueOf(devices) ?? { links: [] }, route);
  if (link === undefined || link.noArp || link.loopback) return undefined;
  return factOf(() => ({
    wasSilent,
    entry: rtnetlink.neighbourEntries(link.index)
      .find(({ address }) => address === hop),
  }));
}
