/**
 * A snapshot of the host's interfaces and addresses.
 *
 * @module
 */

import type {
  Link,
  LinkAddress,
  RtnetlinkReader,
} from "../../linux/netlink/rtnetlink.ts";
import {
  formatIpv4,
  type Ipv4,
  isLinkLocal,
  isLoopback,
  isMulticast,
} from "../../net/ipv4.ts";

/**
 * A host with many containers may have hundreds of interfaces; a longer list
 * does not help.
 */
const MOST_NAMES = 10;

/** The kernel's answer, read once so that all decisions use the same data. */
export class InterfaceList {
  /** In order of their indexes, like flannel. */
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];

  constructor(links: readonly Link[], addresses: readonly LinkAddress[]) {
    this.links = links.toSorted((a, b) => a.index - b.index);
    this.addresses = addresses;
  }

  /** Reads it from the kernel. */
  static read(rtnetlink: RtnetlinkReader): InterfaceList {
    return new InterfaceList(rtnetlink.links(), rtnetlink.addresses());
  }

  byIndex(index: number): Link | undefined {
    return this.links.find((link) => link.index === index);
  }

  byName(name: string): Link | undefined {
    return this.links.find((link) => link.name === name);
  }

  /**
   * The first interface with the address, regardless of the state of either.
   */
  ownerOf(address: Ipv4): Link | undefined {
    return this.ownersOf(address)[0];
  }

  /** All interfaces that have it. */
  ownersOf(address: Ipv4): Link[] {
    return this.links.filter(({ index }) =>
      this.addresses.some((entry) =>
        entry.interfaceIndex === index && entry.address === address
      )
    );
  }

  /**
   * The addresses of an interface at which other hosts may reach it, best
   * first.
   */
  usable(link: Link): LinkAddress[] {
    return usableAddresses(this.addresses, link.index);
  }

  /**
   * `eth0 (192.0.2.2), eth1`: interfaces with addresses first, without the
   * loopback.
   */
  describe(): string {
    const all = this.links.filter(({ loopback }) => !loopback)
      .map((link) => ({
        name: link.name,
        addresses: this.usable(link).map(({ address }) => formatIpv4(address)),
      }))
      .toSorted((a, b) =>
        Number(b.addresses.length > 0) - Number(a.addresses.length > 0)
      );
    if (all.length === 0) return "none but the loopback interface";
    const shown = all.slice(0, MOST_NAMES).map(({ name, addresses }) =>
      addresses.length > 0 ? `${name} (${addresses.join(", ")})` : name
    );
    const rest = all.length - shown.length;
    return shown.join(", ") + (rest > 0 ? ` and ${rest} more` : "");
  }
}

/**
 * The addresses of one interface that flannel would use, the best one first:
 * global before link-local, permanent before dynamic, primary before secondary,
 * else as the kernel lists them. Loopback, multicast and deprecated addresses
 * are omitted. Compat 6.1.
 */
function usableAddresses(
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
