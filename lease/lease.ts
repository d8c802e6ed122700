/**
 * A host's claim on a subnet.
 *
 * @module
 */

import type { Cidr } from "../net/cidr.ts";
import type { Ipv4 } from "../net/ipv4.ts";
import type { DataPathName } from "../net/peer.ts";

/** The decoded value of a lease's key (compat 3.2). */
export interface LeaseAttributes {
  readonly publicIp: Ipv4;
  /**
   * `udp` if the value names none, because flannel omits it for udp and alloc.
   */
  readonly backendType: string;
  readonly backendData?: unknown;
  /** Loden's own field, after flannel's fields; absent in flannel's leases. */
  readonly hostId?: string;
  /** Loden's own field: the holder's data path. */
  readonly dataPath?: DataPathName;
  /** Unknown fields, kept when the value is rewritten. */
  readonly unknownFields?: Readonly<Record<string, unknown>>;
}

/**
 * The part of the value that the backend decides and may change while it runs.
 */
export type LeaseAdvertisement = Pick<
  LeaseAttributes,
  "backendType" | "backendData" | "dataPath"
>;

/**
 * One version of one key under `<prefix>/subnets/`, for transactions to
 * compare.
 */
export interface LeaseVersion {
  /**
   * The key below `<prefix>/subnets/`: `10.1.5.0-24`, or with `&` and an IPv6
   * half in a dual-stack cluster (compat 3.1). Two names may have the same
   * subnet.
   */
  readonly name: string;
  readonly subnet: Cidr;
  /** The etcd lease of the key; `0` for a reservation (no TTL). */
  readonly etcdLeaseId: string;
  /**
   * create_revision of the key: the smaller one was first. Renewals do not
   * change it.
   */
  readonly createRevision: string;
  /** mod_revision of the key, for compare-and-put. */
  readonly modRevision: string;
}

/** A valid key under `<prefix>/subnets/`. */
export interface Lease extends LeaseVersion {
  readonly attributes: LeaseAttributes;
}

/** Whether the lease has no TTL (compat 3.5). */
export function isReservation(lease: LeaseVersion): boolean {
  return lease.etcdLeaseId === "0";
}
