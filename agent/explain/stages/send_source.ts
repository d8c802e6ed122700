/**
 * The sender.
 *
 * @module
 */

import { contains, formatCidr } from "../../../net/cidr.ts";
import { type Judgement, ok, unknown } from "../../../net/finding.ts";
import { formatIpv4 } from "../../../net/ipv4.ts";
import { valueOf } from "../fact.ts";
import { isOwn, linkOf, peerOf } from "../place.ts";
import type { SendSnapshot } from "../snapshot.ts";
import { destinationText, sourceText } from "./shared.ts";

/** Whether the source is on this host: only then its way can be followed. */
export function judgeSource(
  { container, devices, flow, overlay, peers }: SendSnapshot,
): Judgement {
  const source = sourceText(flow);
  if (!devices.seen) {
    return unknown(`the devices of this host cannot be seen: ${devices.why}`);
  }
  if (isOwn(devices.value, flow.source)) return ok(`${source} is this host`);
  const peer = peerOf(valueOf(peers) ?? [], flow.source);
  const found = container && valueOf(container)?.container;
  if (found !== undefined) {
    return ok(`${source} is ${found.name} (process ${found.pid})`);
  }
  if (peer !== undefined) {
    return unknown(
      `${source} is not on this host: ${formatCidr(peer.subnet)} is the ` +
        `subnet of ${formatIpv4(peer.publicIp)}`,
      `on ${formatIpv4(peer.publicIp)}: loden explain ${source} ` +
        destinationText(flow),
    );
  }
  const link = linkOf(devices.value, flow.source);
  if (link !== undefined) {
    return unknown(
      container === undefined || !container.seen
        ? `who has ${source} behind ${link.name} cannot be seen` +
          (container?.seen === false ? `: ${container.why}` : "")
        : `no process of this host has ${source}: it may be a machine behind ` +
          link.name,
    );
  }
  const network = valueOf(overlay)?.network;
  const isInside = network !== undefined && contains(network, flow.source);
  return unknown(
    isInside && peers.seen
      ? `no host holds a lease for ${source}`
      : `${source} is not on this host`,
    "give the address of a container or host: loden status lists the subnets",
  );
}
