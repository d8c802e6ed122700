/**
 * Whether a peer can be reached without encapsulation (flannel's
 * `DirectRouting`).
 *
 * @module
 */

import { NetlinkError } from "../linux/netlink/errors.ts";
import type { Rtnetlink } from "../linux/netlink/rtnetlink.ts";
import type { Ipv4 } from "../net/ipv4.ts";

/** The device by which a host is reached without a router; undefined for none. */
export function directDevice(
  rtnetlink: Pick<Rtnetlink, "routeTo">,
  publicIp: Ipv4,
): number | undefined {
  try {
    const { gateway, interfaceIndex } = rtnetlink.routeTo(publicIp);
    return gateway === undefined ? interfaceIndex : undefined;
  } catch (error) {
    if (error instanceof NetlinkError) return undefined;
    throw error;
  }
}
