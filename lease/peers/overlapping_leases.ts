/**
 * Which leases are refused because they overlap another host's.
 *
 * @module
 */

import { type Cidr, cidrOf, cidrSize } from "../../net/cidr.ts";
import type { Ipv4 } from "../../net/ipv4.ts";

/** A lease, as far as it decides. */
export interface OverlapCandidate {
  /** The key below `<prefix>/subnets/`. */
  readonly name: string;
  readonly subnet: Cidr;
  readonly publicIp: Ipv4;
  /** The revision at which the key was created; 0 for one of the saved state. */
  readonly created: bigint;
}

/**
 * By name, each with the lease that it overlaps. The key that was created first
 * stays: a host that may write leases cannot take a part of another host's traffic
 * by a longer prefix, nor all hosts' peers by a shorter one. Leases of one PublicIP
 * are one host's.
 */
export function refuseOverlaps<Candidate extends OverlapCandidate>(
  candidates: readonly Candidate[],
): Map<string, Candidate> {
  const refused = new Map<string, Candidate>();
  const accepted = new SubnetMap<Candidate>();
  for (const candidate of candidates.toSorted(byAge)) {
    const other = accepted.overlapping(candidate.subnet)
      .find(({ publicIp }) => publicIp !== candidate.publicIp);
    if (other === undefined) accepted.add(candidate);
    else refused.set(candidate.name, other);
  }
  return refused;
}

/** The wider of two that were created together is the older one. */
function byAge(a: OverlapCandidate, b: OverlapCandidate): number {
  if (a.created !== b.created) return a.created < b.created ? -1 : 1;
  return a.subnet.prefixLength - b.subnet.prefixLength ||
    a.subnet.address - b.subnet.address;
}

/** Values by subnet; a network has subnets of one or two lengths. */
class SubnetMap<Value extends { readonly subnet: Cidr }> {
  /** By prefix length, then by address. Keys for one subnet are one entry. */
  readonly #values = new Map<number, Map<number, Value>>();

  add(value: Value): void {
    const { prefixLength, address } = value.subnet;
    const same = this.#values.get(prefixLength) ?? new Map<number, Value>();
    this.#values.set(prefixLength, same.set(address, value));
  }

  /** Those that contain the subnet or lie in it, but are not that subnet. */
  overlapping(subnet: Cidr): Value[] {
    const found: Value[] = [];
    for (const [length, values] of this.#values) {
      if (length === subnet.prefixLength) continue;
      if (length < subnet.prefixLength) {
        found.push(...valuesAt(values, cidrOf(subnet.address, length).address));
        continue;
      }
      const end = subnet.address + cidrSize(subnet);
      const step = 2 ** (32 - length);
      if (cidrSize(subnet) / step > values.size) {
        for (const [address, value] of values) {
          if (address >= subnet.address && address < end) found.push(value);
        }
        continue;
      }
      for (let at: number = subnet.address; at < end; at += step) {
        found.push(...valuesAt(values, at));
      }
    }
    return found;
  }
}

function valuesAt<Value>(
  values: ReadonlyMap<number, Value>,
  address: number,
): Value[] {
  const value = values.get(address);
  return value === undefined ? [] : [value];
}
