/**
 * What `loden explain` asks the wireguard backend.
 *
 * @module
 */

import { contains, formatCidr } from "../../net/cidr.ts";
import { drop, type Finding, ok, unknown } from "../../net/finding.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import type {
  InspectedPeer,
  InspectionHost,
  Inspector,
} from "../inspection.ts";

const IPPROTO_UDP = 17;
const RESTART = "systemctl restart loden";

/** @param device the name of the WireGuard device. */
export function wireguardInspector(device: string, port: number): Inspector {
  const traffic = { protocol: IPPROTO_UDP, port };
  const inspect = (host: InspectionHost, peer: InspectedPeer) => ({
    findings: [entryFinding(host, peer, device)],
    traffic,
  });
  return { send: inspect, receive: inspect };
}

/** WireGuard drops what comes from, or goes to, addresses that no key is for. */
function entryFinding(
  { openWireguard, rtnetlink }: InspectionHost,
  { publicIp, subnet }: InspectedPeer,
  device: string,
): Finding {
  const stage = "peer entry";
  const index = rtnetlink.links().find(({ name }) => name === device)?.index;
  if (index === undefined) {
    return { stage, ...drop(`${device} is not there`, RESTART) };
  }
  using wireguard = openWireguard();
  const peer = wireguard.device(index).peers.find(({ allowedIps }) =>
    allowedIps.some((cidr) => contains(cidr, subnet.address))
  );
  if (peer === undefined) {
    return {
      stage,
      ...drop(`${device} has no key for ${formatCidr(subnet)}`, RESTART),
    };
  }
  const key = `${peer.publicKey.slice(0, 8)}…`;
  const { endpoint, lastHandshakeMs } = peer;
  if (lastHandshakeMs === 0) {
    return {
      stage,
      ...unknown(
        `${device} has the key ${key} for ${formatCidr(subnet)} and has not ` +
          "completed a handshake with it",
      ),
    };
  }
  return {
    stage,
    ...ok(
      `${device} has the key ${key} for ${formatCidr(subnet)}, at ` +
        formatIpv4(endpoint?.address ?? publicIp),
    ),
  };
}
