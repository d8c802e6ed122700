/**
 * What `loden explain` asks the vxlan backend.
 *
 * @module
 */

import { formatCidr } from "../../net/cidr.ts";
import { drop, type Finding, ok } from "../../net/finding.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import { formatMac } from "../../net/mac.ts";
import {
  type InspectedPeer,
  type InspectionHost,
  type Inspector,
  misdirected,
} from "../inspection.ts";

const IPPROTO_UDP = 17;
const RESTART = "systemctl restart loden";

/** @param device the name of the VXLAN device. */
export function vxlanInspector(device: string, port: number): Inspector {
  const traffic = { protocol: IPPROTO_UDP, port };
  return {
    send: (host, peer, destination) => {
      const { gateway } = host.rtnetlink.routeTo(destination);
      // DirectRouting.
      if (gateway === peer.publicIp) {
        const text = `the route leads to ${formatIpv4(gateway)}`;
        return { findings: [{ stage: "peer entry", ...ok(text) }] };
      }
      return { findings: [entryFinding(host, peer, device)], traffic };
    },
    receive: () => ({ findings: [], traffic }),
  };
}

/** The neighbour and the forwarding entry of a peer. */
function entryFinding(
  { rtnetlink }: InspectionHost,
  peer: InspectedPeer,
  device: string,
): Finding {
  const { publicIp, subnet } = peer;
  const stage = "peer entry";
  const index = rtnetlink.links().find(({ name }) => name === device)?.index;
  const neighbour = index === undefined
    ? undefined
    : rtnetlink.neighbours(index).find(({ address }) =>
      address === subnet.address
    );
  if (index === undefined || neighbour === undefined) {
    return {
      stage,
      ...drop(`${device} has no neighbour for ${formatCidr(subnet)}`, RESTART),
    };
  }
  const mac = formatMac(neighbour.mac);
  const remote = rtnetlink.forwardingEntries(index)
    .find((entry) => formatMac(entry.mac) === mac)?.remote;
  const found = remote === undefined ? "no host" : formatIpv4(remote);
  const what = `${device} sends ${formatCidr(subnet)} to ${found}`;
  return {
    stage,
    ...remote === publicIp ? ok(what) : misdirected(peer, what),
  };
}
