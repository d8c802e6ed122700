/**
 * The subnets that hosts may lease.
 *
 * @module
 */

import { type Cidr, contains } from "./cidr.ts";
import type { Ipv4 } from "./ipv4.ts";

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
