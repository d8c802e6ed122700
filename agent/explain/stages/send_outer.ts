/**
 * The outer packet on this host.
 *
 * @module
 */

import { drop, type Judgement, ok, unknown } from "../../../net/finding.ts";
import { formatIpv4 } from "../../../net/ipv4.ts";
import { valueOf } from "../fact.ts";
import { isSilent, linkOfRoute } from "../place.ts";
import type { PeerFacts, SendSnapshot } from "../snapshot.ts";

/** The route to the peer's PublicIP. */
export function judgeOuterRoute(
  { devices, outerRoute, peer }: SendSnapshot,
): Judgement | undefined {
  if (outerRoute === undefined) return undefined;
  const address = peerText(peer);
  if (!outerRoute.seen) {
    return unknown(`the route to ${address} cannot be seen: ${outerRoute.why}`);
  }
  if (outerRoute.value.kind === "refused") {
    return drop(
      `there is no route to ${address}: ${outerRoute.value.text}`,
      `ip route get ${address}; add the route that is missing`,
    );
  }
  const { answer } = outerRoute.value;
  const { gateway, isLocal } = answer;
  if (isLocal) {
    return drop(
      `${address} is an address of this host: two hosts have leases with it`,
      "give each host its own address, or set --public-ip",
    );
  }
  const link = linkOfRoute(
    valueOf(devices) ?? { links: [] },
    outerRoute.value,
  );
  if (link !== undefined && !link.up) {
    return drop(`${link.name} is down`, `ip link set ${link.name} up`);
  }
  const via = gateway === undefined ? "" : ` via ${formatIpv4(gateway)}`;
  return ok(`${address} is reached by ${link?.name ?? "a device"}${via}`);
}

/** The Ethernet address of the next machine. */
export function judgeNeighbour(
  { answer, devices, neighbour, outerRoute, peer }: SendSnapshot,
): Judgement | undefined {
  if (neighbour === undefined || outerRoute === undefined) return undefined;
  if (!neighbour.seen) {
    return unknown(`the neighbours cannot be seen: ${neighbour.why}`);
  }
  const route = valueOf(outerRoute);
  if (route?.kind !== "found") return undefined;
  const { gateway } = route.answer;
  const device = linkOfRoute(valueOf(devices) ?? { links: [] }, route)?.name ??
    "the underlay";
  const address = gateway === undefined ? peerText(peer) : formatIpv4(gateway);
  const { entry, wasSilent } = neighbour.value;
  if (entry === undefined) {
    return ok(`${address} was not asked for yet on ${device}`);
  }
  if (!isSilent(entry)) {
    return ok(`${address} is known on ${device} (${entry.state})`);
  }
  // What was given up long ago may be there again: only a second time counts, two
  // seconds later.
  if (!wasSilent || answer === undefined) {
    return unknown(
      `no machine has answered for ${address} on ${device} yet`,
      "ask again in a few seconds",
    );
  }
  return drop(
    `no machine answers for ${address} on ${device}`,
    gateway === undefined
      ? `check that the host is up and still has ${address}; if it is gone ` +
        "for good, its lease ends by itself"
      : `check the router ${address}`,
  );
}

/** Whether the outer packet fits the underlay, as this host knows it. */
export function judgeSize(
  { flow, mostBytes, outerRoute }: SendSnapshot,
): Judgement | undefined {
  if (outerRoute === undefined) return undefined;
  if (mostBytes === undefined) {
    return unknown("the underlay's MTU is not known");
  }
  if (flow.sizeBytes <= mostBytes) {
    return ok(`packets of up to ${mostBytes} bytes fit the underlay`);
  }
  return drop(
    `a packet of ${flow.sizeBytes} bytes does not fit the underlay: at most ` +
      `${mostBytes} bytes do`,
    "raise the MTU of the underlay, or restart the agent and then Docker, " +
      "which take the smaller one",
  );
}

function peerText(peer: PeerFacts | undefined): string {
  return peer === undefined ? "the peer" : formatIpv4(peer.publicIp);
}
