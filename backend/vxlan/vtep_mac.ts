/**
 * The hardware address of a host's VXLAN device.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";

/**
 * An address that follows from what makes a host one of the network: it is the
 * same after a reboot, and no other host has it, since no two hosts of a network
 * have one public address. So there is no file to keep.
 *
 * @param network names the network on this host, as a device's alias does.
 * @returns six bytes: unicast, locally administered (IEEE 802, bits 0 and 1 of the
 * first).
 */
export function vtepMac(
  network: string,
  vni: number,
  publicIp: Ipv4,
): Uint8Array {
  const text = `${network} ${vni} ${formatIpv4(publicIp)}`;
  const mac = new Uint8Array(createHash("sha256").update(text).digest())
    .slice(0, 6);
  mac[0] = (mac[0]! & 0xfe) | 0x02;
  return mac;
}
