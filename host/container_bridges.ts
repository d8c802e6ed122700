/**
 * The bridges behind which this host's containers are.
 *
 * @module
 */

import type { Rtnetlink } from "../linux/netlink/rtnetlink.ts";
import { type Cidr, contains } from "../net/cidr.ts";

/**
 * Names of the devices with an address of the subnet, without the overlay's own:
 * `docker0`, as a rule. None before Docker runs.
 */
export function containerBridges(
  rtnetlink: Pick<Rtnetlink, "addresses" | "links">,
  subnet: Cidr,
  overlayDevice: string | undefined,
): string[] {
  const holders = new Set(
    rtnetlink.addresses()
      .filter(({ address }) => contains(subnet, address))
      .map(({ interfaceIndex }) => interfaceIndex),
  );
  return rtnetlink.links()
    .filter(({ index, loopback, name }) =>
      holders.has(index) && !loopback && name !== overlayDevice
    ).map(({ name }) => name);
}
