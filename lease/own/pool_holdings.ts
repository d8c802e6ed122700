/**
 * Describes the holders of an exhausted pool, and configs that would enlarge
 * it.
 *
 * @module
 */

import { cidrOf, cidrSize, formatCidr, lastAddress } from "../../net/cidr.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";
import {
  LONGEST_SUBNET,
  poolSize,
  type SubnetPool,
  subnetSize,
  takesRoom,
} from "../../net/subnet_pool.ts";
import { isReservation, type Lease } from "../lease.ts";
import type { LeaseRegistry, LeaseSnapshot } from "../registry.ts";

/** Number of holders that a message names. */
const SHOWN = 3;
/** Number of leases whose expiry is read, one call each. */
const ASKED = 16;

/**
 * A phrase that names the holders of a pool's subnets and those that expire
 * next, searched among the oldest leases, because most have the same TTL.
 *
 * @throws {RegistryError}
 */
export async function describeHoldings(
  registry: Pick<LeaseRegistry, "remainingSeconds">,
  pool: SubnetPool,
  { leases, rejected }: LeaseSnapshot,
  signal: AbortSignal,
): Promise<string> {
  const held = leases.filter(({ subnet }) => takesRoom(pool, subnet));
  const unreadable = rejected.filter(({ version }) =>
    version !== undefined && takesRoom(pool, version.subnet)
  );
  const reserved = held.filter(isReservation);
  const oldest = held.filter((lease) => !isReservation(lease))
    .toSorted(byRevision).slice(0, ASKED);
  const ends = await Promise.all(oldest.map(async (lease) => {
    // It has expired since the listing.
    const seconds = await registry.remainingSeconds(lease, signal) ?? 0;
    return { lease, seconds };
  }));
  const next = ends.toSorted((a, b) => a.seconds - b.seconds).slice(0, SHOWN)
    .map(({ lease, seconds }) =>
      `${describeHolder(lease)} in ${formatSpan(seconds)}`
    );
  return [
    ...(next.length === 0
      ? []
      : [`the next to expire, unless renewed: ${next.join(", ")}`]),
    ...(reserved.length === 0 ? [] : [
      `${reserved.length} are reserved and never expire (${
        showSome(reserved.map(describeHolder))
      })`,
    ]),
    ...(unreadable.length === 0 ? [] : [
      `${unreadable.length} have a value that cannot be read (${
        showSome(unreadable.map(({ key }) => key))
      })`,
    ]),
  ].join("; ");
}

/** Changes to the network config, and how many subnets each would give. */
export function describeRoom(pool: SubnetPool): string {
  const { network, subnetLength } = pool;
  const size = subnetSize(pool);
  const ways: string[] = [];
  // The network's first subnet is not leased unless SubnetMin includes it.
  const whole = cidrSize(network) / size - 1;
  if (whole > poolSize(pool)) {
    const [min, max] = [
      network.address + size,
      lastAddress(network) + 1 - size,
    ] as [Ipv4, Ipv4];
    ways.push(
      `SubnetMin ${formatIpv4(min)} and SubnetMax ${formatIpv4(max)} ` +
        `would give ${whole}`,
    );
  }
  if (subnetLength < LONGEST_SUBNET) {
    ways.push(
      `SubnetLen ${subnetLength + 1} would give ${whole * 2 + 1}, ` +
        "each half as large",
    );
  }
  if (network.prefixLength > 0) {
    const wider = cidrOf(network.address, network.prefixLength - 1);
    ways.push(`Network ${formatCidr(wider)} would give ${whole * 2 + 1}`);
  }
  return ways.join("; ");
}

function byRevision(a: Lease, b: Lease): number {
  return BigInt(a.modRevision) < BigInt(b.modRevision) ? -1 : 1;
}

function describeHolder({ subnet, attributes }: Lease): string {
  return `${formatCidr(subnet)} of ${formatIpv4(attributes.publicIp)}`;
}

function showSome(words: readonly string[]): string {
  const more = words.length - SHOWN;
  return words.slice(0, SHOWN).join(", ") +
    (more > 0 ? ` and ${more} more` : "");
}

/** `59 s`, `43 min`, `23 h 12 min`. */
function formatSpan(seconds: number): string {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return hours === 0 ? `${minutes} min` : `${hours} h ${minutes % 60} min`;
}
