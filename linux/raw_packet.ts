/**
 * Sends IPv4 packets with their header as it is (man 7 raw).
 *
 * @module
 */

import type { Ipv4 } from "../net/ipv4.ts";
import { ERRNO, SystemCallError } from "./errno.ts";
import { AF_INET, sendTo } from "./inet_socket.ts";
import { checked, libc } from "./libc.ts";

const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_RAW = 255;

/**
 * Sends one packet from the network namespace of this thread.
 *
 * @throws {SystemCallError} without CAP_NET_RAW or a route, or if the packet does
 * not fit its device.
 */
export function sendPacket(packet: Uint8Array, destination: Ipv4): void {
  const descriptor = checked(
    libc().socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW),
    "create a raw socket",
    "run as root",
  );
  try {
    const sent = sendTo(descriptor, destination, 0, packet);
    // EPERM: a firewall of this namespace has dropped it, as one behind might.
    if (sent < 0 && sent !== -ERRNO.EPERM) {
      throw new SystemCallError("send a packet", -sent);
    }
  } finally {
    libc().close(descriptor);
  }
}
