/**
 * The bridge of the sending container.
 *
 * @module
 */

import { contains, formatCidr } from "../../../net/cidr.ts";
import { drop, type Judgement, ok, unknown } from "../../../net/finding.ts";
import { valueOf } from "../fact.ts";
import { isOwn, linkAddressText, linkOf } from "../place.ts";
import type { SendSnapshot } from "../snapshot.ts";
import { RESTART_DOCKER, sourceText } from "./shared.ts";

/** Whether it is up, and on this host's lease. */
export function judgeBridge(
  { devices, flow, overlay }: SendSnapshot,
): Judgement | undefined {
  const host = valueOf(devices);
  if (host === undefined || isOwn(host, flow.source)) return undefined;
  const link = linkOf(host, flow.source);
  if (link === undefined) return undefined;
  const name = `${link.name} ${linkAddressText(host, flow.source)}`;
  if (!link.up) {
    return drop(`${name} is down`, `ip link set ${link.name} up`);
  }
  // A machine on a link of this host, whose packets it forwards.
  if (link.kind !== "bridge") return undefined;
  // A packet from one container of this host to another one needs no lease.
  if (linkOf(host, flow.destination)?.index === link.index) {
    return ok(`${name} has both addresses on its link`);
  }
  if (!overlay.seen) {
    return unknown(
      `whether ${name} is on this host's lease cannot be seen: ${overlay.why}`,
    );
  }
  const { masquerade, network, subnet } = overlay.value;
  const lease = formatCidr(subnet);
  if (contains(subnet, flow.source)) {
    return ok(`${name} is on the lease ${lease}`);
  }
  if (contains(network, flow.source)) {
    return drop(
      `${name} is not on this host's lease ${lease}: other hosts drop what ` +
        `comes from ${sourceText(flow)}`,
      RESTART_DOCKER,
    );
  }
  if (!contains(network, flow.destination)) {
    return ok(`${name} is not part of the overlay`);
  }
  const elsewhere = `${name} is not on this host's lease ${lease}`;
  if (masquerade === undefined) return unknown(elsewhere, RESTART_DOCKER);
  return masquerade
    ? ok(
      `${elsewhere}: its packets get the host's address, and no other host ` +
        "reaches its containers",
    )
    : drop(
      `${elsewhere}: other hosts drop what comes from ${sourceText(flow)}`,
      RESTART_DOCKER,
    );
}
