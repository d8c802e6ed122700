/**
 * Gathers what both sides need first: devices, the overlay and its peers.
 *
 * @module
 */

import { backendOf, isBackend } from "../../backend/backends.ts";
import { parseCidr } from "../../net/cidr.ts";
import { parseIpv4 } from "../../net/ipv4.ts";
import {
  type HostDevices,
  NO_DEVICES,
  ownDevices,
  readDevices,
} from "../instance/own_devices.ts";
import { deviceAlias, type Footprint } from "../instance/footprint.ts";
import type { PeerStatus, StatusSnapshot } from "../status/status_snapshot.ts";
import {
  asyncFactOf,
  type Fact,
  factOf,
  seen,
  unseen,
  valueOf,
} from "./fact.ts";
import type { HostReader } from "./host_reader.ts";
import type { OverlayFacts, PeerFacts } from "./snapshot.ts";

/** See the module. */
export interface HostFacts {
  readonly devices: Fact<HostDevices>;
  readonly overlay: Fact<OverlayFacts>;
  readonly peers: Fact<readonly PeerFacts[]>;
}

/** Devices, the overlay and its peers. */
export async function gatherHost(reader: HostReader): Promise<HostFacts> {
  const devices = factOf(() => readDevices(reader.rtnetlink));
  const [status, footprint] = await Promise.all([
    asyncFactOf(() => reader.status()),
    asyncFactOf(() => reader.footprint()),
  ]);
  return {
    devices,
    overlay: overlayFacts(status, footprint, devices),
    peers: status.seen ? knownPeers(status.value) : await savedPeers(
      reader,
      status.why,
    ),
  };
}

function overlayFacts(
  status: Fact<StatusSnapshot>,
  footprint: Fact<Footprint | undefined>,
  devices: Fact<HostDevices>,
): Fact<OverlayFacts> {
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
  const host = valueOf(devices) ?? NO_DEVICES;
  const ours = prefix === undefined
    ? []
    : host.links.filter(({ alias }) => alias === deviceAlias(prefix));
  const [own] = prefix === undefined
    ? []
    : ownDevices(prefix, host, subnetCidr.address);
  return seen({
    network: networkCidr,
    subnet: subnetCidr,
    backendType,
    device: overlay?.device ?? own?.name,
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

/** Whether it has no device and no routes by the underlay. */
function isBlind(backendType: string): boolean {
  if (!isBackend(backendType)) return true;
  const { deviceName, routesByUnderlay } = backendOf(backendType);
  return deviceName({}, "flannel0") === undefined &&
    routesByUnderlay === undefined;
}

/** An agent that has just started does not know them all. */
function knownPeers(status: StatusSnapshot): Fact<readonly PeerFacts[]> {
  const { phase, warnings } = status;
  const isEarly = phase !== "running" ||
    warnings.some(({ code }) => code === "peers.unknown");
  return isEarly && status.peers.length === 0
    ? unseen("the agent does not know them yet")
    : seen(peerFacts(status));
}

function peerFacts({ peers }: StatusSnapshot): PeerFacts[] {
  return peers.flatMap((peer): PeerFacts[] => {
    const subnet = parseCidr(peer.subnet);
    const publicIp = parseIpv4(peer.publicIp);
    if (subnet === undefined || publicIp === undefined) return [];
    const { backendType, confirmed, stale } = peer;
    const probe = probeFacts(peer);
    return [{ subnet, publicIp, backendType, stale, confirmed, probe }];
  });
}

function probeFacts({ probe }: PeerStatus): PeerFacts["probe"] {
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
  reader: HostReader,
  why: string,
): Promise<Fact<readonly PeerFacts[]>> {
  const saved = await asyncFactOf(() => reader.savedPeers());
  if (!saved.seen) return unseen(why);
  return seen(saved.value.map((peer): PeerFacts => {
    const { backendType, publicIp, stale, subnet } = peer;
    return {
      ...{ subnet, publicIp, backendType, stale },
      confirmed: null,
      isSaved: true,
      probe: undefined,
    };
  }));
}
