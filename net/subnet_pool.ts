/**
 * The subnets that hosts may lease.
 *
 * @module
 */

import { type Cidr, cidrSize, contains, lastAddress } from "./cidr.ts";
import type { Ipv4 } from "./ipv4.ts";

/** The longest SubnetLen: a subnet needs room for the bridge and one container. */
export const LONGEST_SUBNET = 30;

/**
 * `first` and `last` are network addresses of subnets of `subnetLength` bits;
 * both may be leased (compat 2.3).
 */
export interface SubnetPool {
  readonly network: Cidr;
  readonly subnetLength: number;
  readonly first: Ipv4;
  readonly last: Ipv4;
}

/** Whether a subnet may be leased under this pool (compat 3.4, step 2). */
export function poolAdmits(pool: SubnetPool, subnet: Cidr): boolean {
  return subnet.prefixLength === pool.subnetLength &&
    contains(pool.network, subnet.address) &&
    subnet.address >= pool.first && subnet.address <= pool.last;
}

/** Number of addresses in each subnet: 2^(32 - subnetLength). */
export function subnetSize({ first, subnetLength }: SubnetPool): number {
  return cidrSize({ address: first, prefixLength: subnetLength });
}

/** The number of subnets; 0 if the bounds leave none. */
export function poolSize(pool: SubnetPool): number {
  const span = pool.last - pool.first;
  return Math.max(0, Math.floor(span / subnetSize(pool)) + 1);
}

/** Whether a lease of any length overlaps subnets of the pool. */
export function takesRoom(pool: SubnetPool, lease: Cidr): boolean {
  return lastAddress(lease) >= pool.first &&
    lease.address <= pool.last + subnetSize(pool) - 1;
}
