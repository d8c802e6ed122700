/**
 * The devices below a bond, a bridge, a team or a VLAN.
 *
 * @module
 */

import { KINDS_WITH_PORTS, type Link } from "../linux/netlink/rtnetlink.ts";

/**
 * Those through which its packets leave the host in the end: itself, if there is
 * none below it that can be seen.
 */
export function bottomDevices(link: Link, links: readonly Link[]): Link[] {
  const found: Link[] = [];
  const seen = new Set<number>();
  const visit = (device: Link) => {
    if (seen.has(device.index)) return;
    seen.add(device.index);
    const below = lowerDevices(device, links);
    if (below.length === 0) found.push(device);
    for (const lower of below) visit(lower);
  };
  visit(link);
  return found;
}

function lowerDevices(
  { index, kind, peerIndex }: Link,
  links: readonly Link[],
): Link[] {
  if (KINDS_WITH_PORTS.includes(kind)) {
    return links.filter(({ masterIndex }) => masterIndex === index);
  }
  return kind === "vlan"
    ? links.filter((other) => other.index === peerIndex)
    : [];
}
