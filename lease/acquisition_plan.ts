/**
 * Which subnet a starting host takes (compat 3.4, with design.md's order).
 *
 * @module
 */

import { type Cidr, equalCidr, overlaps } from "../net/cidr.ts";
import { poolAdmits, type SubnetPool } from "../net/subnet_pool.ts";
import { isReservation, type Lease, type LeaseAttributes } from "./lease.ts";
import { leaseName } from "./lease_codec.ts";
import type { LeaseSnapshot } from "./registry.ts";

/** A subnet that this host has had, and who remembers it. */
export interface PreviousSubnet {
  readonly subnet: Cidr;
  /** `subnet-file`: `/run/flannel/subnet.env`; `state`: the state directory. */
  readonly source: "subnet-file" | "state";
}

/** The next write. */
export type AcquisitionStep =
  | {
    readonly type: "renew";
    readonly lease: Lease;
    /**
     * `own`: our host id is in it. `adopted`: our PublicIP is in it and no host
     * id: flannel on this host, or a reservation. `taken-over`: our PublicIP with
     * another host id.
     */
    readonly reason: "own" | "adopted" | "taken-over";
  }
  | {
    readonly type: "create";
    readonly subnet: Cidr;
    readonly reason: PreviousSubnet["source"];
  }
  | { readonly type: "allocate"; readonly held: readonly Cidr[] };

/** What to delete first, and then what to write. */
export interface AcquisitionPlan {
  readonly discard: readonly Lease[];
  readonly step: AcquisitionStep;
}

/**
 * Decides by what etcd holds and what this host remembers, in this order: a lease
 * with our host id, one with our PublicIP, then `previous` as given, then any free
 * subnet. Our own leases that are not chosen, and those of a flannel on this
 * address that no longer fit the config, are discarded; those with another host
 * id are left to their owner and their TTL.
 */
export function planAcquisition(
  snapshot: LeaseSnapshot,
  pool: SubnetPool,
  attributes: LeaseAttributes,
  previous: readonly PreviousSubnet[],
): AcquisitionPlan {
  const { leases, rejected } = snapshot;
  const { hostId, publicIp } = attributes;
  // A dual-stack key is flannel's for another config than ours.
  const fits = ({ name, subnet }: Lease) =>
    poolAdmits(pool, subnet) && name === leaseName(subnet);
  const own = leases.filter((lease) =>
    hostId !== undefined && lease.attributes.hostId === hostId
  );
  const sameAddress = leases.filter((lease) =>
    lease.attributes.publicIp === publicIp && !own.includes(lease)
  );

  const chosen = own.filter(fits).toSorted(byMemory(previous))[0] ??
    sameAddress.filter(fits).toSorted(reservationsFirst)[0];
  const discard = [
    ...own.filter((lease) => lease !== chosen),
    ...sameAddress.filter((lease) =>
      lease.attributes.hostId === undefined && !fits(lease)
    ),
  ];
  if (chosen !== undefined) {
    const reason = own.includes(chosen)
      ? "own"
      : chosen.attributes.hostId === undefined
      ? "adopted"
      : "taken-over";
    return { discard, step: { type: "renew", lease: chosen, reason } };
  }

  const held = [
    ...leases.filter((lease) => !discard.includes(lease)).map(({ subnet }) =>
      subnet
    ),
    // Whose value cannot be read may still be served by somebody.
    ...rejected.flatMap(({ version }) => version ? [version.subnet] : []),
  ];
  const remembered = previous.find(({ subnet }) =>
    poolAdmits(pool, subnet) && !held.some((cidr) => overlaps(cidr, subnet))
  );
  const step: AcquisitionStep = remembered === undefined
    ? { type: "allocate", held }
    : {
      type: "create",
      subnet: remembered.subnet,
      reason: remembered.source,
    };
  return { discard, step };
}

/** Those that are remembered, in the order of memory, before the others. */
function byMemory(previous: readonly PreviousSubnet[]) {
  const rank = (lease: Lease) => {
    const index = previous.findIndex(({ subnet }) =>
      equalCidr(subnet, lease.subnet)
    );
    return index < 0 ? previous.length : index;
  };
  return (a: Lease, b: Lease) => rank(a) - rank(b);
}

function reservationsFirst(a: Lease, b: Lease): number {
  return Number(isReservation(b)) - Number(isReservation(a));
}
