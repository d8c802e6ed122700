/**
 * Gathers what the receiving host looks like. What cannot be looked at becomes an
 * unseen fact.
 *
 * @module
 */

import type { Ipv4 } from "../../net/ipv4.ts";
import { unseen, valueOf } from "./fact.ts";
import type { Flow } from "./flow.ts";
import type { HostSight } from "./host_sight.ts";
import { look, lookLater } from "./look.ts";
import type { Looks } from "./looks.ts";
import { isOwn, peerOf, wayOf } from "./place.ts";
import {
  filteredTraffic,
  firewallSight,
  innerPacket,
  isRoutedBack,
  lookBehind,
  routeSight,
  settingsOf,
} from "./sights.ts";
import type { ReceiveSnapshot, SendSnapshot } from "./snapshot.ts";

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
        ...innerPacket(flow, host),
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
