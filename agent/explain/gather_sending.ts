/**
 * Gathers what the sending host looks like. What cannot be looked at becomes an
 * unseen fact.
 *
 * @module
 */

import type { Finding } from "../../net/finding.ts";
import { type Fact, unseen, valueOf } from "./fact.ts";
import type { Flow } from "./flow.ts";
import type { HostSight } from "./host_sight.ts";
import { look, lookLater } from "./look.ts";
import type { Looks } from "./looks.ts";
import { isSilent } from "./neighbour.ts";
import { isOwn, linkOf, peerOf, wayOf } from "./place.ts";
import {
  BRIDGE_NETFILTER,
  filteredTraffic,
  firewallSight,
  innerPacket,
  isRoutedBack,
  lookForContainer,
  routeSight,
  settingsOf,
} from "./sights.ts";
import type { Echoes, SendSnapshot } from "./snapshot.ts";

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
 * The same with what came back from the peer, and with the neighbour, which the
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
