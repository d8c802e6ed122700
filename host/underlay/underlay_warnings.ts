/**
 * What looks wrong about an underlay that can still be used.
 *
 * @module
 */

import type { Link, LinkAddress } from "../../linux/netlink/rtnetlink.ts";
import { formatIpv4, isLinkLocal, isLoopback } from "../../net/ipv4.ts";
import type { Underlay } from "../../net/underlay.ts";
import { InterfaceList } from "./interface_list.ts";
import { isManagedBridge, isOverlayDevice } from "./link_kinds.ts";

/** One finding. */
export interface UnderlayWarning {
  /**
   * `underlay.shared-address`: other hosts probably have the same address, or
   * cannot reach it. `underlay.public-ip-elsewhere`: packets leave with a
   * source address that the other hosts do not expect.
   * `underlay.address-twice`: another interface of this host has the same
   * address.
   */
  readonly code:
    | "underlay.shared-address"
    | "underlay.public-ip-elsewhere"
    | "underlay.address-twice";
  /** What is wrong, for an operator. */
  readonly text: string;
  /** The flag that solves it. */
  readonly fix: string;
}

/** Addresses that every machine of a kind has. */
const SHARED_ADDRESSES: Readonly<Record<string, string>> = {
  "10.0.2.15": "VirtualBox and QEMU give it to every machine behind their NAT",
  "10.0.2.100": "slirp4netns gives it to every rootless container",
};

/**
 * Compares an underlay with all interfaces and addresses of the host. Empty if
 * nothing is suspicious.
 */
export function underlayWarnings(
  underlay: Underlay,
  links: readonly Link[],
  addresses: readonly LinkAddress[],
): UnderlayWarning[] {
  const host = new InterfaceList(links, addresses);
  const warnings: UnderlayWarning[] = [];
  const shared = whyShared(underlay, host);
  if (shared !== undefined) {
    warnings.push({
      code: "underlay.shared-address",
      text: shared,
      fix: fixFor(host),
    });
  }
  const publicIp = formatIpv4(underlay.publicIp);
  const owner = host.ownerOf(underlay.publicIp);
  if (underlay.publicIp !== underlay.address && owner !== undefined) {
    warnings.push({
      code: "underlay.public-ip-elsewhere",
      text: `the public address ${publicIp} is on ${owner.name}, but packets ` +
        `leave from ${formatIpv4(underlay.address)} on ` +
        `${underlay.interfaceName}, so other hosts may refuse them`,
      fix: `--iface=${publicIp}`,
    });
  }
  const address = formatIpv4(underlay.address);
  const twins = host.ownersOf(underlay.address)
    .filter(({ index }) => index !== underlay.interfaceIndex);
  if (twins.length > 0) {
    const names = twins.map(({ name }) => name).join(", ");
    warnings.push({
      code: "underlay.address-twice",
      text: `${address} is an address of ${underlay.interfaceName}, which is ` +
        `used, and of ${names}: the routing table alone decides by which of ` +
        "them packets leave, and other hosts may find either",
      fix: `--iface with the name of the right one, and ip address del ` +
        `${address} on the others`,
    });
  }
  return warnings;
}

function whyShared(
  { publicIp, interfaceIndex }: Underlay,
  host: InterfaceList,
): string | undefined {
  const address = formatIpv4(publicIp);
  const others = `so other hosts probably cannot reach this host at ${address}`;
  const shared = SHARED_ADDRESSES[address];
  if (shared !== undefined) {
    return `${address} is probably not unique to this host: ${shared}`;
  }
  if (isLoopback(publicIp)) {
    return `${address} is a loopback address: every host has it`;
  }
  if (isLinkLocal(publicIp)) {
    return `${address} is a link-local address: it may change, and other hosts ` +
      "may take it";
  }
  for (const link of [host.ownerOf(publicIp), host.byIndex(interfaceIndex)]) {
    if (link === undefined) continue;
    if (link.loopback) {
      return `${link.name} is the loopback interface, ${others}`;
    }
    if (isManagedBridge(link)) {
      return `${link.name} is a bridge inside this host, which other hosts have ` +
        `with the same addresses, ${others}`;
    }
    if (isOverlayDevice(link)) {
      return `${link.name} is the device of an overlay, which cannot carry itself`;
    }
  }
  return undefined;
}

/** Names a better interface if there is one. */
function fixFor(host: InterfaceList): string {
  for (const link of host.links) {
    const best = host.usable(link)[0];
    if (
      best === undefined ||
      !link.up || link.loopback || isManagedBridge(link) ||
      isOverlayDevice(link) ||
      isLinkLocal(best.address) || formatIpv4(best.address) in SHARED_ADDRESSES
    ) continue;
    return `--iface=${link.name} (${formatIpv4(best.address)})`;
  }
  return "--iface with the interface that reaches the other hosts, or " +
    "--public-ip with the address at which they reach this one";
}
