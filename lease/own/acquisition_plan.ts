/**
 * Which subnet a starting host takes (compat 3.4; the order: docs/lease.md).
 *
 * @module
 */

import { type Cidr, equalCidr, overlaps } from "../../net/cidr.ts";
import { poolAdmits, type SubnetPool } from "../../net/subnet_pool.ts";
import {
  isReservation,
  type Lease,
  type LeaseAttributes,
  type LeaseVersion,
} from "../lease.ts";
import { leaseName } from "../lease_codec.ts";
import type { LeaseSnapshot } from "../registry.ts";

/** A subnet that this host had, and where it is remembered. */
export interface PreviousSubnet {
  readonly subnet: Cidr;
  /**
   * `running`: in use now; `subnet-file`: `/run/flannel/subnet.env`; `state`:
   * the state directory.
   */
  readonly source: "running" | "subnet-file" | "state";
}

/** The subnet file survives a lost state directory, and flannel writes it too. */
export function previousSubnets(
  subnetFile: Cidr | undefined,
  state: { readonly subnet: Cidr } | undefined,
): PreviousSubnet[] {
  return [
    ...subnetFile
      ? [{ subnet: subnetFile, source: "subnet-file" } as const]
      : [],
    ...state ? [{ subnet: state.subnet, source: "state" } as const] : [],
  ];
}

/** The next write. */
export type AcquisitionStep =
  | {
    readonly type: "renew";
    readonly lease: Lease;
    /**
     * `own`: has our host id. `adopted`: has our PublicIP and no host id:
     * flannel on this host, or a reservation. `taken-over`: our PublicIP with
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
  /** Whether another lease has the subnet in use, or part of it. */
  readonly losesRunning: boolean;
}

/**
 * Decides by what etcd holds and what this host remembers, in this order: the
 * subnet in use if no other host has it, a lease with our host id, one with our
 * PublicIP, then `previous` as given, then any free subnet.
 *
 * Our own leases that are not chosen, and those of a flannel on this address
 * that no longer fit the config, are deleted. Leases with another host id are
 * left to their owner and their TTL. If one of our leases overlaps an older
 * one, ours gives way.
 */
export function planAcquisition(
  snapshot: LeaseSnapshot,
  pool: SubnetPool,
  attributes: LeaseAttributes,
  previous: readonly PreviousSubnet[],
): AcquisitionPlan {
  const { hostId, publicIp } = attributes;
  // A dual-stack key belongs to a flannel with another config.
  const fits = ({ name, subnet }: Lease) =>
    poolAdmits(pool, subnet) && name === leaseName(subnet);
  const own = snapshot.leases.filter((lease) =>
    hostId !== undefined && lease.attributes.hostId === hostId
  );
  const sameAddress = snapshot.leases.filter((lease) =>
    lease.attributes.publicIp === publicIp && !own.includes(lease)
  );
  const obsolete = sameAddress.filter((lease) =>
    lease.attributes.hostId === undefined && !fits(lease)
  );
  const foreign: LeaseVersion[] = [
    ...snapshot.leases.filter((lease) =>
      !own.includes(lease) && !obsolete.includes(lease)
    ),
    // A lease with an unreadable value may still be in use.
    ...snapshot.rejected.flatMap(({ version }) => version ?? []),
  ];
  const isFree = (subnet: Cidr) =>
    !foreign.some((other) => overlaps(other.subnet, subnet));

  const usable = previous.filter(({ subnet }) =>
    poolAdmits(pool, subnet) && isFree(subnet)
  );
  const running = usable.find(isRunning);
  const losesRunning = running === undefined && previous.some(isRunning);
  const isTenable = (lease: Lease) => fits(lease) && !isYounger(lease, foreign);
  const kept = own.filter(isTenable).toSorted(byMemory(previous));
  const chosen = running === undefined
    ? kept[0] ?? sameAddress.filter(isTenable).toSorted(reservationsFirst)[0]
    : kept.find(({ subnet }) => equalCidr(subnet, running.subnet));
  const discard = [...own.filter((lease) => lease !== chosen), ...obsolete];
  if (chosen !== undefined) {
    const reason = own.includes(chosen)
      ? "own"
      : chosen.attributes.hostId === undefined
      ? "adopted"
      : "taken-over";
    const step = { type: "renew", lease: chosen, reason } as const;
    return { discard, step, losesRunning };
  }
  const remembered = running ?? usable[0];
  const step: AcquisitionStep = remembered === undefined
    ? { type: "allocate", held: foreign.map(({ subnet }) => subnet) }
    : {
      type: "create",
      subnet: remembered.subnet,
      reason: remembered.source,
    };
  return { discard, step, losesRunning };
}

function isRunning({ source }: PreviousSubnet): boolean {
  return source === "running";
}

/**
 * Whether a lease overlaps an older one and so gives way. Compares the creation
 * of the keys, because the other lease may have been renewed.
 */
function isYounger(lease: Lease, others: readonly LeaseVersion[]): boolean {
  return others.some((other) =>
    overlaps(other.subnet, lease.subnet) &&
    BigInt(other.createRevision) < BigInt(lease.createRevision)
  );
}

/** Remembered subnets first, in their order, then the others. */
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
