/**
 * The host's route to the destination.
 *
 * @module
 */

import { ERRNO } from "../../../linux/errno.ts";
import { contains, formatCidr } from "../../../net/cidr.ts";
import { drop, type Judgement, ok, unknown } from "../../../net/finding.ts";
import { formatIpv4 } from "../../../net/ipv4.ts";
import { NO_DEVICES } from "../../instance/own_devices.ts";
import { valueOf } from "../fact.ts";
import { linkAddressText, linkOf } from "../place.ts";
import type { PeerFacts, SendSnapshot } from "../snapshot.ts";
import {
  destinationText,
  isServed,
  judgeReversePath,
  RESTART_AGENT,
  RESTART_DOCKER,
} from "./shared.ts";

/** The kernel's own answer for a packet of this source, from this bridge. */
export function judgeRoute(snapshot: SendSnapshot): Judgement {
  const { flow, overlay, peer, peers, route, way } = snapshot;
  if (!route.seen) return unknown(`the routes cannot be seen: ${route.why}`);
  const destination = destinationText(flow);
  if (route.value.kind === "refused") {
    return judgeRefusal(snapshot, route.value);
  }
  const { isBlind, network, subnet } = valueOf(overlay) ?? {};
  const isInside = network !== undefined && contains(network, flow.destination);
  switch (way?.kind) {
    case "here":
      return ok(`${destination} is this host`);
    case "overlay":
      return ok(`${destination} is routed by ${way.link.name}`);
    case "direct":
      return ok(
        `${destination} is routed by ${way.link.name} to ${
          formatIpv4(way.gateway)
        }, which has the lease`,
      );
    case "link":
      return peer !== undefined && !isBlind
        ? takenTwice(snapshot, peer, way.link.name)
        : ok(`${destination} is on the link of ${way.link.name}`);
    case "router": {
      const text = `${destination} is routed by ${way.link.name} to ${
        formatIpv4(way.gateway)
      }`;
      // A peer whose routes lead to itself cannot be told from a router, then.
      const isKnown = peer !== undefined || (peers.seen && isServed(overlay));
      if (!overlay.seen || !isKnown) {
        return unknown(`${text}: whether that is right cannot be seen`);
      }
      if (!isInside || isBlind) {
        return unknown(
          `${text}: ` +
            (isInside
              ? `${overlay.value.backendType} leaves its packets to others`
              : `it is not in the overlay ${formatCidr(network!)}`),
        );
      }
      return drop(
        `${text}, outside the overlay`,
        peer === undefined && contains(subnet!, flow.destination)
          ? `${RESTART_DOCKER}: this host has the lease, and no bridge is on it`
          : RESTART_AGENT,
      );
    }
    case undefined:
      return unknown(
        `the route to ${destination} names no device of this host`,
      );
  }
}

/** A device of this host takes packets for another host's lease. */
function takenTwice(
  { devices, flow }: SendSnapshot,
  { publicIp, subnet }: PeerFacts,
  device: string,
): Judgement {
  const host = valueOf(devices)!;
  const isOnLink = linkOf(host, flow.destination)?.name === device;
  const address = linkAddressText(host, flow.destination);
  return drop(
    `${destinationText(flow)} is taken twice: ${formatCidr(subnet)} is the ` +
      `lease of ${formatIpv4(publicIp)}, and ${device} of this host ` +
      (isOnLink ? `has ${address}` : "has a route to it"),
    isOnLink
      ? `ip address del ${address} dev ${device}`
      : `ip route get ${destinationText(flow)}; remove the route by ${device}`,
  );
}

function judgeRefusal(
  snapshot: SendSnapshot,
  { errno, text }: { readonly errno: number; readonly text: string },
): Judgement {
  const { devices, flow, overlay, peer, peers } = snapshot;
  const destination = destinationText(flow);
  const host = valueOf(devices) ?? NO_DEVICES;
  const device = linkOf(host, flow.source)?.name ?? "all";
  const filtered = judgeReversePath(snapshot, errno, device);
  if (filtered !== undefined) return filtered;
  if (errno !== ERRNO.EHOSTUNREACH && errno !== ERRNO.ENETUNREACH) {
    return unknown(`the kernel refuses the route: ${text}`);
  }
  if (!overlay.seen) {
    return drop(
      `there is no route to ${destination}`,
      "start the agent (systemctl start loden)",
    );
  }
  const { network, subnet } = overlay.value;
  if (peer !== undefined) {
    return drop(
      `there is no route to ${destination}, which ${
        formatIpv4(peer.publicIp)
      } has the lease for`,
      RESTART_AGENT,
    );
  }
  if (contains(subnet, flow.destination)) {
    return drop(
      `${destination} is in this host's lease ${formatCidr(subnet)}, and no ` +
        "bridge of this host is on it",
      RESTART_DOCKER,
    );
  }
  if (!contains(network, flow.destination)) {
    return drop(
      `there is no route to ${destination}, which is not in the overlay ${
        formatCidr(network)
      }`,
      "give an address of the overlay, or add a route",
    );
  }
  if (!peers.seen || !isServed(overlay)) {
    return drop(
      `there is no route to ${destination}, and no agent that knows which ` +
        "host has a lease for it",
      "start the agent (systemctl start loden)",
    );
  }
  return drop(
    `no host holds a lease for ${destination}`,
    "loden status lists the subnets; start the agent on the host that should " +
      "have it",
  );
}
