/**
 * Gathers the facts about the receiving host. What cannot be read becomes an
 * unseen fact.
 *
 * @module
 */

import type { Ipv4 } from "../../net/ipv4.ts";
import { NO_DEVICES } from "../instance/own_devices.ts";
import { asyncFactOf, factOf, unseen, valueOf } from "./fact.ts";
import type { Flow } from "./flow.ts";
import type { HostFacts } from "./gather_host.ts";
import type { HostReader } from "./host_reader.ts";
import { isOwn, linkOfRoute, peerOf, wayOf } from "./place.ts";
import {
  filteredTraffic,
  firewallFacts,
  gatherBehind,
  innerPacket,
  isRoutedBack,
  routeFacts,
  settingsOf,
} from "./gather_parts.ts";
import type { ReceiveSnapshot, SendSnapshot } from "./snapshot.ts";

/** @param outerSource from where the sender says that its outer packets come. */
export async function gatherReceiving(
  reader: HostReader,
  { devices, overlay, peers }: HostFacts,
  flow: Flow,
  outerSource: Ipv4 | undefined,
  signal: AbortSignal,
): Promise<ReceiveSnapshot> {
  const host = valueOf(devices) ?? NO_DEVICES;
  const own = valueOf(overlay);
  const peer = peerOf(valueOf(peers) ?? [], flow.source);
  const outer = peer &&
    valueOf(factOf(() => routeFacts(reader, peer.publicIp, {})));
  const underlay = linkOfRoute(host, outer);
  const back = valueOf(factOf(() => routeFacts(reader, flow.source, {})));
  const wayBack = wayOf(back, host.links, own?.devices ?? [], peer);
  // Without a device of its own, the overlay's packets come by the underlay.
  const arrival = wayBack?.kind === "direct"
    ? wayBack.link
    : host.links.find(({ name }) => name === own?.device) ?? underlay;
  const inspection = peer && factOf(() =>
    reader.inspect({
      direction: "receive",
      backendType: peer.backendType,
      peer,
      underlay: underlay?.name ?? own?.underlay?.interfaceName ?? "",
    })
  );
  const traffic = filteredTraffic(inspection && valueOf(inspection));
  const isSourceRouted = arrival === undefined
    ? undefined
    : isRoutedBack(reader, flow.source, arrival.index);
  const route = arrival === undefined
    ? unseen("the device on which the packet arrives is not known")
    : factOf(() =>
      routeFacts(reader, flow.destination, {
        source: flow.source,
        arrivesByIndex: arrival.index,
      })
    );
  const way = wayOf(
    valueOf(route),
    host.links,
    own?.devices ?? [],
    undefined,
  );
  const chains = await asyncFactOf(() => reader.chains(signal));
  return {
    flow,
    outerSource,
    devices,
    overlay,
    peers,
    settings: settingsOf(reader, arrival?.name),
    isSourceRouted,
    arrivesOn: arrival?.name,
    inspection,
    outerFirewall: traffic === undefined || wayBack?.kind === "direct"
      ? undefined
      : firewallFacts(chains, {
        packet: {
          source: outerSource ?? peer!.publicIp,
          destination: own?.underlay?.address ?? peer!.publicIp,
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
    firewall: firewallFacts(chains, {
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
    ...await gatherBehind(
      reader,
      flow,
      way?.kind === "link" ? way.link : undefined,
    ),
  };
}

/** The end of a way between two addresses of one host. */
export async function gatherLocal(
  reader: HostReader,
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
    ...await gatherBehind(
      reader,
      flow,
      way?.kind === "link" ? way.link : undefined,
    ),
  };
}
