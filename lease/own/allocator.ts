/**
 * Which free subnet a new host takes.
 *
 * @module
 */

import { type Cidr, cidrOf, lastAddress } from "../../net/cidr.ts";
import { toIpv4 } from "../../net/ipv4.ts";
import { type SubnetPool, subnetSize } from "../../net/subnet_pool.ts";
import type { RandomSource } from "../../linux/random.ts";

/**
 * flannel chooses among at most this many free subnets (compat 3.4, step 4).
 */
const MAX_CANDIDATES = 100;

/**
 * Walks the pool from first to last, skips subnets that overlap one of `held`
 * (of any length), and takes one of the first 100 free ones at random, so that
 * hosts that start together rarely choose the same.
 *
 * @returns `undefined` if none is free.
 */
export function allocateSubnet(
  pool: SubnetPool,
  held: readonly Cidr[],
  random: RandomSource,
): Cidr | undefined {
  const candidates = freeSubnets(pool, held, MAX_CANDIDATES);
  return candidates.length === 0
    ? undefined
    : candidates[random.below(candidates.length)];
}

/** The pool's first free subnets, at most `limit`, in order of address. */
function freeSubnets(
  pool: SubnetPool,
  held: readonly Cidr[],
  limit: number,
): Cidr[] {
  const byAddress = [...held].sort((a, b) => a.address - b.address);
  const size = subnetSize(pool);
  const free: Cidr[] = [];
  let next = 0;
  let lastHeld = -1;
  // Both lists ascend, so one pass over each finds all overlaps.
  for (
    let address: number = pool.first;
    address <= pool.last && free.length < limit;
    address += size
  ) {
    for (; next < byAddress.length; next++) {
      const cidr = byAddress[next]!;
      if (cidr.address > address + size - 1) break;
      lastHeld = Math.max(lastHeld, lastAddress(cidr));
    }
    if (lastHeld < address) {
      free.push(cidrOf(toIpv4(address), pool.subnetLength));
    }
  }
  return free;
}
