/**
 * Reasons why a lease is not held, for an operator.
 *
 * @module
 */

import { describeError, LodenError } from "../../errors.ts";
import { type Cidr, formatCidr } from "../../net/cidr.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import type { Lease } from "../lease.ts";
import type { LeaseCause } from "./lease_state.ts";
import type { RejectedLease } from "../registry.ts";

/** A call, a watch or an attempt to get a lease has failed. */
export function failed(error: unknown): LeaseCause {
  return {
    code: error instanceof LodenError ? error.code : "lease.unexpected",
    message: describeError(error),
  };
}

/** The key of the subnet is gone. */
export function deleted(subnet: Cidr): LeaseCause {
  return {
    code: "lease.deleted",
    message: `the key of ${formatCidr(subnet)} is gone from etcd`,
  };
}

/** The key exists, but its value cannot be read. */
export function unreadable({ key, reason }: RejectedLease): LeaseCause {
  return {
    code: "lease.unreadable",
    message: `the key ${key} cannot be read: ${reason}`,
  };
}

/** The key of the subnet is another host's. */
export function takenBy({ subnet, attributes }: Lease): LeaseCause {
  const holder = attributes.hostId === undefined
    ? "which names no host id (flannel?)"
    : `with host id ${attributes.hostId}`;
  return taken(
    subnet,
    `is now held by ${formatIpv4(attributes.publicIp)}, ${holder}`,
  );
}

/** The key is gone, and the subnet overlaps another host's lease. */
export function overlapped(subnet: Cidr): LeaseCause {
  return taken(subnet, "overlaps a lease that another host has taken");
}

function taken(subnet: Cidr, why: string): LeaseCause {
  return { code: "lease.taken", message: `${formatCidr(subnet)} ${why}` };
}
