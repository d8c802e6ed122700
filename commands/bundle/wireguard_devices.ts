/**
 * Loden's WireGuard devices, as text, without a secret key.
 *
 * @module
 */

import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { KernelWireguard } from "../../linux/netlink/kernel_wireguard.ts";
import type { WireguardPeer } from "../../linux/netlink/wireguard.ts";
import { formatCidr } from "../../net/cidr.ts";
import { formatIpv4 } from "../../net/ipv4.ts";

/** Those with the network's alias. */
export function describeWireguard(alias: string): string {
  using rtnetlink = new KernelRtnetlink();
  const devices = rtnetlink.links()
    .filter((link) => link.kind === "wireguard" && link.alias === alias);
  if (devices.length === 0) return "none\n";
  using wireguard = new KernelWireguard();
  return devices.flatMap(({ index, name }) => {
    const { listenPort, peers, publicKey } = wireguard.device(index);
    return [
      `# ${name}: UDP port ${listenPort}, public key ${publicKey ?? "none"}`,
      ...peers.map(describePeer),
    ];
  }).map((line) => `${line}\n`).join("");
}

function describePeer(peer: WireguardPeer): string {
  const { endpoint, lastHandshakeMs } = peer;
  const where = endpoint === undefined
    ? "unknown"
    : `${formatIpv4(endpoint.address)}:${endpoint.port}`;
  const handshake = lastHandshakeMs === 0
    ? "never"
    : new Date(lastHandshakeMs).toISOString();
  return [
    `peer ${peer.publicKey}`,
    `endpoint ${where}`,
    `allowed ${peer.allowedIps.map(formatCidr).join(" ") || "nothing"}`,
    `preshared key ${peer.presharedKey === undefined ? "no" : "yes"}`,
    `keepalive ${peer.keepaliveSeconds} s`,
    `handshake ${handshake}`,
    `received ${peer.rxBytes}, sent ${peer.txBytes} bytes`,
  ].join(", ");
}
