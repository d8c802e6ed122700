/**
 * Finds quickly whether a peer claims what another one had: the same address or
 * an overlapping subnet.
 *
 * @module
 */

import { type Cidr, cidrOf, cidrSize } from "../../net/cidr.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import type { Peer } from "../../net/peer.ts";

/** What is claimed. */
export type Claim = Pick<Peer, "subnet" | "publicIp">;

/**
 * Counts claims by address and by subnet. Two subnets overlap only if one
 * contains the other, and a network has subnets of one or two lengths, so a
 * query costs a few look-ups for any number of peers.
 */
export class ClaimIndex {
  readonly #addresses = new Map<Ipv4, number>();
  /** By prefix length, then by address. */
  readonly #subnets = new Map<number, Map<Ipv4, number>>();

  add({ subnet, publicIp }: Claim): void {
    addTo(this.#addresses, publicIp, 1);
    let sameLength = this.#subnets.get(subnet.prefixLength);
    if (sameLength === undefined) {
      sameLength = new Map();
      this.#subnets.set(subnet.prefixLength, sameLength);
    }
    addTo(sameLength, subnet.address, 1);
  }

  /** Removes a claim that was added. */
  delete({ subnet, publicIp }: Claim): void {
    addTo(this.#addresses, publicIp, -1);
    const sameLength = this.#subnets.get(subnet.prefixLength);
    if (sameLength === undefined) return;
    addTo(sameLength, subnet.address, -1);
    if (sameLength.size === 0) this.#subnets.delete(subnet.prefixLength);
  }

  /** Whether any added claim has this address or overlaps this subnet. */
  hasClaimOn({ subnet, publicIp }: Claim): boolean {
    return this.#addresses.has(publicIp) || this.#hasOverlap(subnet, undefined);
  }

  /** Whether any added claim overlaps this subnet, but is not that subnet. */
  hasOther(subnet: Cidr): boolean {
    return this.#hasOverlap(subnet, subnet.prefixLength);
  }

  #hasOverlap(subnet: Cidr, leftOutLength: number | undefined): boolean {
    for (const [length, addresses] of this.#subnets) {
      if (length === leftOutLength) continue;
      const claims = length <= subnet.prefixLength
        ? addresses.has(cidrOf(subnet.address, length).address)
        : hasWithin(addresses, subnet, length);
      if (claims) return true;
    }
    return false;
  }
}

/** Whether one of the subnets of that length lies in `around`. */
function hasWithin(
  addresses: ReadonlyMap<Ipv4, number>,
  around: Cidr,
  length: number,
): boolean {
  const end = around.address + cidrSize(around);
  const step = 2 ** (32 - length);
  if ((end - around.address) / step > addresses.size) {
    for (const address of addresses.keys()) {
      if (address >= around.address && address < end) return true;
    }
    return false;
  }
  for (let address: number = around.address; address < end; address += step) {
    if (addresses.has(address as Ipv4)) return true;
  }
  return false;
}

function addTo(counts: Map<Ipv4, number>, key: Ipv4, change: number): void {
  const count = (counts.get(key) ?? 0) + change;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
