/**
 * The bridges behind which this host's containers are.
 *
 * @module
 */

import type { Rtnetlink } from "../linux/netlink/rtnetlink.ts";
import { type Cidr, contains } from "../net/cidr.ts";
import { isOverlayDevice } from "./underlay/link_kinds.ts";

/**
 * Names of the devices with an address of the subnet, without overlay devices, of
 * which there are several during a change of backend: `docker0`, as a rule. None
 * before Docker runs.
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
    .filter((link) =>
      holders.has(link.index) && !link.loopback &&
      link.name !== overlayDevice && !isOverlayDevice(link)
    ).map(({ name }) => name);
}
