/**
 * The devices that an agent's network has on this host.
 *
 * @module
 */

import type { Link, LinkAddress } from "../../linux/netlink/rtnetlink.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import { deviceAlias } from "./footprint.ts";

/**
 * Those with an address, or with this one: of a pair, the end that the host
 * routes by.
 */
export function ownDevices(
  etcdPrefix: string,
  { addresses, links }: {
    readonly addresses: readonly LinkAddress[];
    readonly links: readonly Link[];
  },
  address?: Ipv4,
): Link[] {
  const alias = deviceAlias(etcdPrefix);
  const holders = addresses
    .filter((each) => address === undefined || each.address === address)
    .map(({ interfaceIndex }) => interfaceIndex);
  return links.filter((link) =>
    link.alias === alias && holders.includes(link.index)
  );
}
