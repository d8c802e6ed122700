/**
 * Which of a host's addresses can stand for it towards other hosts.
 *
 * @module
 */

import type { LinkAddress } from "../linux/netlink/rtnetlink.ts";
import {
  type Ipv4,
  isLinkLocal,
  isLoopback,
  isMulticast,
} from "../net/ipv4.ts";

/**
 * The addresses of one interface that flannel would use, the best one first:
 * global before link-local, permanent before dynamic, primary before secondary,
 * else as the kernel lists them. Loopback, multicast and deprecated addresses are
 * left out. Compat 6.1.
 */
export function usableAddresses(
  addresses: readonly LinkAddress[],
  interfaceIndex: number,
): LinkAddress[] {
  return addresses
    .filter((entry) => entry.interfaceIndex === interfaceIndex)
    .filter((entry) => !entry.deprecated && isUnicast(entry.address))
    .toSorted((a, b) =>
      Number(isLinkLocal(a.address)) - Number(isLinkLocal(b.address)) ||
      Number(b.permanent) - Number(a.permanent) ||
      Number(a.secondary) - Number(b.secondary)
    );
}

/** Go's `IsGlobalUnicast` or `IsLinkLocalUnicast`. */
function isUnicast(address: Ipv4): boolean {
  return address !== 0 && address !== 0xffffffff && !isLoopback(address) &&
    !isMulticast(address);
}
