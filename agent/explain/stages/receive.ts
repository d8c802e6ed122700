/**
 * The receiving side, stage by stage, in the order in which a packet meets them.
 *
 * @module
 */

import { ERRNO } from "../../../linux/errno.ts";
import { contains, formatCidr } from "../../../net/cidr.ts";
import {
  drop,
  type Finding,
  type Judgement,
  ok,
  unknown,
} from "../../../net/finding.ts";
import { formatIpv4 } from "../../../net/ipv4.ts";
import { NO_DEVICES } from "../../instance/own_devices.ts";
import { valueOf } from "../fact.ts";
import { isOwn, linkAddressText, linkOf, peerOf } from "../place.ts";
import type { ReceiveSnapshot } from "../snapshot.ts";
import { filterFix } from "./filter_fix.ts";
import { judgeOuterFilter } from "./outer_firewall.ts";
import {
  destinationText,
  judgeFirewall,
  judgeForwarding,
  judgeReversePath,
  RESTART_AGENT,
  RESTART_DOCKER,
  sourceText,
} from "./shared.ts";
import {
  backendFindings,
  findings,
  type Stages,
  untilDropped,
} from "./stage.ts";

/** The names are an interface: docs/explain.md. */
const BEFORE_BACKEND: Stages<ReceiveSnapshot> = {
  "outer firewall": judgeOuterFilter,
  "sender check": judgeSender,
};
const LOCAL: Stages<ReceiveSnapshot> = {
  "bridge": judgeBridge,
  "container": judgeContainer,
};
const BEHIND_BACKEND: Stages<ReceiveSnapshot> = {
  "forwarding": ({ arrivesOn, settings }) =>
    arrivesOn === undefined ? undefined : judgeForwarding(settings, arrivesOn),
  "route": judgeRoute,
  "firewall": judgeFilter,
  ...LOCAL,
};

/** What the packet meets on this host, up to the stage that drops it. */
export function judgeReceiving(snapshot: ReceiveSnapshot): Finding[] {
  return untilDropped([
    ...findings(BEFORE_BACKEND, snapshot),
    ...backendFindings(snapshot.inspection),
    ...findings(BEHIND_BACKEND, snapshot),
  ]);
}

/** The last part of a way that ends on the sending host. */
export function judgeLocal(snapshot: ReceiveSnapshot): Finding[] {
  return untilDropped(findings(LOCAL, snapshot));
}

/** What the data path compares the outer source with. */
function judgeSender(
  { flow, inspection, outerSource, peers }: ReceiveSnapshot,
): Judgement | undefined {
  const source = sourceText(flow);
  if (!peers.seen) return unknown(`the peers cannot be seen: ${peers.why}`);
  const peer = peerOf(peers.value, flow.source);
  const checksSenders = inspection && valueOf(inspection)?.checksSenders;
  if (peer === undefined) {
    return drop(
      `this host knows no lease for ${source}: it drops the packet, or sends ` +
        "no answer",
      "check that both hosts use the same etcd and prefix: loden status",
    );
  }
  const lease = `${formatCidr(peer.subnet)} is the lease of ${
    formatIpv4(peer.publicIp)
  }`;
  if (
    checksSenders === true && outerSource !== undefined &&
    outerSource !== peer.publicIp
  ) {
    return drop(
      `packets of ${source} come from ${formatIpv4(outerSource)}, and ${lease}`,
      `on ${formatIpv4(outerSource)}: systemctl restart loden, or set ` +
        "--public-ip to the address that its packets come from",
    );
  }
  return ok(lease);
}

/** The kernel's own answer for a packet of this source, from this device. */
function judgeRoute(snapshot: ReceiveSnapshot): Judgement {
  const { arrivesOn, devices, flow, overlay, route } = snapshot;
  const destination = destinationText(flow);
  if (!route.seen) return unknown(`the routes cannot be seen: ${route.why}`);
  if (route.value.kind === "found") {
    const { way } = snapshot;
    if (way === undefined) {
      return unknown(`the route to ${destination} names no device`);
    }
    switch (way.kind) {
      case "here":
        return ok(`${destination} is the receiving host itself`);
      case "link":
        return ok(`${destination} is on the link of ${way.link.name}`);
      default:
        return drop(
          `${destination} is routed by ${way.link.name}, not to a bridge`,
          noBridge(snapshot),
        );
    }
  }
  const { errno, text } = route.value;
  const filtered = arrivesOn === undefined
    ? undefined
    : judgeReversePath(snapshot, errno, arrivesOn);
  if (filtered !== undefined) return filtered;
  const host = valueOf(devices) ?? NO_DEVICES;
  if (errno === ERRNO.EINVAL && isOwn(host, flow.source)) {
    return drop(
      `${sourceText(flow)} is taken twice: the receiving host has it, too`,
      `ip address; remove ${sourceText(flow)}`,
    );
  }
  const { subnet } = valueOf(overlay) ?? {};
  const isGone = errno === ERRNO.EHOSTUNREACH || errno === ERRNO.ENETUNREACH ||
    // As a blackhole route answers.
    (errno === ERRNO.EINVAL && linkOf(host, flow.destination) === undefined);
  if (subnet === undefined || !isGone || !contains(subnet, flow.destination)) {
    return unknown(`the kernel refuses the route: ${text}`);
  }
  return drop(
    `${destination} is in the lease ${
      formatCidr(subnet)
    }, and no bridge is on it`,
    noBridge(snapshot),
  );
}

function noBridge({ overlay, flow }: ReceiveSnapshot): string {
  const { subnet } = valueOf(overlay) ?? {};
  return subnet !== undefined && contains(subnet, flow.destination)
    ? RESTART_DOCKER
    : RESTART_AGENT;
}

function judgeFilter(
  { firewall, overlay, route }: ReceiveSnapshot,
): Judgement | undefined {
  if (valueOf(route)?.kind !== "found") return undefined;
  return judgeFirewall(firewall, {
    subject: "the packet",
    fix: filterFix(valueOf(firewall)?.verdict, valueOf(overlay)),
  });
}

function judgeBridge(snapshot: ReceiveSnapshot): Judgement | undefined {
  const { devices, flow, way } = snapshot;
  if (way?.kind !== "link") return undefined;
  const { carrier, kind, mtuBytes, name, up } = way.link;
  const text = devices.seen
    ? `${name} ${linkAddressText(devices.value, flow.destination)}`
    : name;
  if (!up) return drop(`${text} is down`, `ip link set ${name} up`);
  if (kind === "bridge" && !carrier) {
    return drop(
      `${text} has no port that is up: no container is attached to it`,
      `start the container that has ${destinationText(flow)}`,
    );
  }
  if (flow.sizeBytes > mtuBytes) {
    return drop(
      `a packet of ${flow.sizeBytes} bytes does not fit ${text}, whose MTU ` +
        `is ${mtuBytes}`,
      `send at most ${mtuBytes} bytes, or start Docker with a larger --mtu`,
    );
  }
  return ok(`${text} is up`);
}

/** Whether some machine has the address. */
function judgeContainer(snapshot: ReceiveSnapshot): Judgement | undefined {
  const { container, devices, flow, neighbour, way } = snapshot;
  if (way?.kind !== "link") return undefined;
  const destination = destinationText(flow);
  const found = container && valueOf(container)?.container;
  if (found !== undefined) {
    return ok(`${destination} is ${found.name} (process ${found.pid})`);
  }
  const state = neighbour && valueOf(neighbour)?.state;
  const bridge = devices.seen && linkOf(devices.value, flow.destination)?.name;
  const isComplete = container && valueOf(container)?.isComplete;
  if (
    state === "reachable" || state === "permanent" || state === "delay" ||
    state === "probe" || (state === "stale" && isComplete !== true)
  ) {
    return ok(`a machine on ${bridge || "the link"} has ${destination}`);
  }
  if (isComplete === true && state === "failed") {
    return drop(
      `no container has ${destination}, and none answers for it`,
      "start the container, or ask for the address that it has now: docker ps",
    );
  }
  return unknown(`whether a container has ${destination} cannot be seen`);
}
