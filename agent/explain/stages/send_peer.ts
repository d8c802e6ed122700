/**
 * The host that has the lease of the destination.
 *
 * @module
 */

import { contains, formatCidr } from "../../../net/cidr.ts";
import { drop, type Judgement, ok, unknown } from "../../../net/finding.ts";
import { formatIpv4 } from "../../../net/ipv4.ts";
import { valueOf } from "../fact.ts";
import type { SendSnapshot } from "../snapshot.ts";
import { destinationText, isServed, RESTART_DOCKER } from "./shared.ts";

/** Whether the agent knows it, and how sure etcd is of it. */
export function judgePeer(
  { flow, overlay, peer, peers, way }: SendSnapshot,
): Judgement | undefined {
  const network = valueOf(overlay)?.network;
  if (way?.kind === "here" || way?.kind === "link") return undefined;
  if (network !== undefined && !contains(network, flow.destination)) {
    return undefined;
  }
  if (!peers.seen) {
    return unknown(`which hosts have leases cannot be seen: ${peers.why}`);
  }
  const lease = valueOf(overlay)?.subnet;
  if (
    peer === undefined && lease !== undefined &&
    contains(lease, flow.destination)
  ) {
    return drop(
      `${destinationText(flow)} is in this host's lease ${
        formatCidr(lease)
      }, and no bridge of this host is on it`,
      RESTART_DOCKER,
    );
  }
  if (peer === undefined && !isServed(overlay)) {
    return unknown(
      `as far as is saved, no host holds a lease for ${destinationText(flow)}`,
      "systemctl status loden",
    );
  }
  if (peer === undefined) {
    return drop(
      `no host holds a lease for ${destinationText(flow)}: it is the address ` +
        "of no one",
      "loden status lists the subnets; start the agent on the host that " +
        "should have it",
    );
  }
  const text = `${formatCidr(peer.subnet)} is the lease of ${
    formatIpv4(peer.publicIp)
  }`;
  if (peer.isSaved) {
    return unknown(
      `${text}, as an agent has saved it that does not answer now`,
      "systemctl status loden",
    );
  }
  if (!peer.stale) return ok(text);
  const since = peer.confirmed === null
    ? ""
    : `, last confirmed at ${peer.confirmed}`;
  return {
    ...ok(
      `${text}, whose key is gone from etcd${since}: it is kept for the ` +
        "grace period",
    ),
    fix: `on ${formatIpv4(peer.publicIp)}: systemctl status loden`,
  };
}
