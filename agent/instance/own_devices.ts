/**
 * The devices that an agent's network has on this host.
 *
 * @module
 */

import type {
  Link,
  LinkAddress,
  RtnetlinkReader,
} from "../../linux/netlink/rtnetlink.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import { deviceAlias } from "./footprint.ts";

/** This host's devices and their addresses. */
export interface HostDevices {
  readonly addresses: readonly LinkAddress[];
  readonly links: readonly Link[];
}

/** Where they cannot be seen. */
export const NO_DEVICES: HostDevices = { addresses: [], links: [] };

/** Without the routes, of which there may be thousands. */
export function readDevices(
  rtnetlink: Pick<RtnetlinkReader, "addresses" | "links">,
): HostDevices {
  return { addresses: rtnetlink.addresses(), links: rtnetlink.links() };
}

/**
 * Those with an address, or with this one: of a pair, the end that the host
 * routes by.
 */
export function ownDevices(
  etcdPrefix: string,
  { addresses, links }: HostDevices,
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
