/**
 * The kernel's own overlay between the hosts of a rig, set up as flannel's
 * `vxlan` backend does (compat 8.1): to compare with.
 *
 * @module
 */

import type { RigHost } from "./host.ts";

const VNI = 1;
/** flannel's name. */
export const VXLAN_DEVICE = `flannel.${VNI}`;
const UDP_PORT = 8472;
/** Outer IPv4, UDP and VXLAN headers, and the inner Ethernet header. */
const ENCAPSULATION_BYTES = 50;

/** One host's part of the overlay. */
export interface VxlanNode {
  readonly host: RigHost;
  /** For {@linkcode RigHost.addContainer}. */
  readonly bip: string;
  readonly mtuBytes: number;
}

/** Makes `flannel.1` everywhere; host n gets 10.2.n.0/24. */
export async function createVxlan(
  hosts: readonly RigHost[],
  underlayMtuBytes = 1500,
  signal?: AbortSignal,
): Promise<VxlanNode[]> {
  const mtuBytes = underlayMtuBytes - ENCAPSULATION_BYTES;
  const nodes = hosts.map((host, index) => ({
    host,
    subnet: `10.2.${index + 1}.0`,
    mac: `02:00:00:00:00:${(index + 1).toString(16).padStart(2, "0")}`,
  }));
  for (const { host, mac, subnet } of nodes) {
    await host.namespace.ip([
      `link add ${VXLAN_DEVICE} address ${mac} mtu ${mtuBytes} type vxlan ` +
      `id ${VNI} local ${host.address} dev eth0 dstport ${UDP_PORT} nolearning`,
      `address add ${subnet}/32 dev ${VXLAN_DEVICE}`,
      `link set ${VXLAN_DEVICE} up`,
    ], signal);
  }
  for (const { host } of nodes) {
    for (const peer of nodes.filter((node) => node.host !== host)) {
      await host.namespace.ip([
        `neighbour add ${peer.subnet} lladdr ${peer.mac} dev ${VXLAN_DEVICE} ` +
        "nud permanent",
        `route replace ${peer.subnet}/24 via ${peer.subnet} ` +
        `dev ${VXLAN_DEVICE} onlink`,
      ], signal);
      await host.namespace.run([
        "bridge",
        "fdb",
        "append",
        peer.mac,
        "dev",
        VXLAN_DEVICE,
        "dst",
        peer.host.address,
      ], signal ? { signal } : {});
    }
  }
  return nodes.map(({ host, subnet }) => ({
    host,
    bip: `${subnet.replace(/0$/, "1")}/24`,
    mtuBytes,
  }));
}
