/**
 * One attempt to get a lease: list, decide, write, verify.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { RandomSource } from "../../linux/random.ts";
import { type Cidr, formatCidr, overlaps } from "../../net/cidr.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import { type SubnetPool, takesRoom } from "../../net/subnet_pool.ts";
import {
  type AcquisitionStep,
  planAcquisition,
  type PreviousSubnet,
} from "./acquisition_plan.ts";
import { allocateSubnet } from "./allocator.ts";
import {
  PoolExhaustedError,
  PublicIpInUseError,
  RegistryError,
} from "../errors.ts";
import type { Lease, LeaseAttributes } from "../lease.ts";
import { ANSWER_WITHIN_MS } from "../liveness/answer_times.ts";
import { describeHoldings, describeRoom } from "./pool_holdings.ts";
import type { LeaseRegistry, LeaseSnapshot } from "../registry.ts";

const log = getLogger(["loden", "lease"]);

/** What an attempt works with. */
export interface AcquisitionComponents {
  readonly registry: LeaseRegistry;
  readonly random: RandomSource;
}

/** What a host wants. */
export interface AcquisitionRequest {
  readonly pool: SubnetPool;
  readonly attributes: LeaseAttributes;
  /** Subnets that this host has had, the most trusted first. */
  readonly previous: readonly PreviousSubnet[];
  readonly ttlSeconds: number;
  /** Whether to take the PublicIP from a host that is alive. */
  readonly takeOver: boolean;
  /** Called if the subnet in use cannot be acquired, whatever follows. */
  readonly onRunningLost: () => void;
}

/** The acquired lease, and why this one was chosen. */
export interface Acquired {
  readonly lease: Lease;
  readonly how:
    | Extract<AcquisitionStep, { reason: string }>["reason"]
    | "allocated";
}

/**
 * Acquires a lease (compat 3.4; the order is in docs/lease.md).
 *
 * Two hosts never end up with overlapping subnets or with one PublicIP. A host
 * writes a key only if it is absent. It then reads, at the revision of its own
 * write, what others have written since its listing; the later writer sees the
 * earlier one and gives way.
 *
 * @returns `undefined` if another host was faster or may have been; the next
 * attempt sees its lease.
 * @throws {RegistryError}
 * @throws {PoolExhaustedError}
 * @throws {PublicIpInUseError}
 */
export async function tryAcquire(
  components: AcquisitionComponents,
  request: AcquisitionRequest,
  signal: AbortSignal,
): Promise<Acquired | undefined> {
  const { registry } = components;
  const { pool, attributes, previous, onRunningLost } = request;
  const snapshot = await registry.list(signal);
  const { discard, step, losesRunning } = planAcquisition(
    snapshot,
    pool,
    attributes,
    previous,
  );
  if (losesRunning) onRunningLost();
  await refuseSharedAddress(components, request, snapshot, step, signal);
  for (const lease of discard) {
    if (!await registry.remove(lease, signal)) return undefined;
    log.info("deleted a lease that this host no longer uses", {
      event: "lease.discarded",
      subnet: formatCidr(lease.subnet),
      key: lease.name,
    });
  }
  const lease = step.type === "renew"
    ? await take(components, request, step, signal)
    : await create(components, request, { step, snapshot }, signal);
  if (lease === undefined) {
    log.debug("another host was faster", {
      event: "lease.race-lost",
    });
    return undefined;
  }
  return { lease, how: step.type === "allocate" ? "allocated" : step.reason };
}

/**
 * Two machines with one PublicIP (Vagrant's 10.0.2.15) would receive each
 * other's packets and take each other's lease in turn. A host that does not
 * answer, because it is dead or not Loden, is ignored: a reinstalled machine
 * must get its address back.
 */
async function refuseSharedAddress(
  { registry }: AcquisitionComponents,
  { attributes, takeOver }: AcquisitionRequest,
  { leases }: LeaseSnapshot,
  step: AcquisitionStep,
  signal: AbortSignal,
): Promise<void> {
  const { publicIp } = attributes;
  const isOursAlready = step.type === "renew" && step.reason === "own" &&
    step.lease.attributes.publicIp === publicIp;
  if (isOursAlready) return;
  const holders = leases.filter((lease) => isRival(lease, attributes));
  for (const lease of takeOver ? [] : holders) {
    const { hostId } = lease.attributes;
    if (!await registry.isAlive(hostId!, ANSWER_WITHIN_MS, signal)) continue;
    throw new PublicIpInUseError(publicIp, lease.subnet, hostId!);
  }
  for (const { subnet, attributes: { hostId } } of holders) {
    log.warn(
      takeOver
        ? "taking over this host's PublicIP from a host that is alive"
        : "taking over this host's PublicIP from a host that does not answer",
      {
        event: "lease.taken-over",
        subnet: formatCidr(subnet),
        publicIp: formatIpv4(publicIp),
        fromHostId: hostId,
      },
    );
  }
}

/**
 * Overwrites a key of ours and keeps fields that another version of Loden
 * wrote.
 */
function take(
  { registry }: AcquisitionComponents,
  { attributes, ttlSeconds }: AcquisitionRequest,
  { lease, reason }: Extract<AcquisitionStep, { type: "renew" }>,
  signal: AbortSignal,
): Promise<Lease | undefined> {
  const { dataPath, unknownFields } = lease.attributes;
  return registry.renew(
    lease,
    {
      // The last value stays until the data path has started, because programs
      // in the kernel outlive the agent.
      ...(reason === "own" && dataPath !== undefined ? { dataPath } : {}),
      ...attributes,
      ...(unknownFields === undefined ? {} : { unknownFields }),
    },
    ttlSeconds,
    signal,
  );
}

/**
 * Writes a new key; deletes it if another host was faster with an overlapping
 * one.
 */
async function create(
  components: AcquisitionComponents,
  { pool, attributes, ttlSeconds }: AcquisitionRequest,
  { step, snapshot }: {
    readonly step: Exclude<AcquisitionStep, { type: "renew" }>;
    readonly snapshot: LeaseSnapshot;
  },
  signal: AbortSignal,
): Promise<Lease | undefined> {
  const { registry } = components;
  const subnet = step.type === "create"
    ? step.subnet
    : await allocate(components, pool, { step, snapshot }, signal);
  const lease = await registry.create(subnet, attributes, ttlSeconds, signal);
  if (lease === undefined) return undefined;
  // A store that was reset has not reported its leases yet.
  if (BigInt(lease.modRevision) <= BigInt(snapshot.revision)) {
    await registry.remove(lease, signal);
    return undefined;
  }
  const written = await listSince(registry, snapshot, lease, signal);
  // The next attempt finds this key in its listing.
  if (written === undefined) return undefined;
  const lost = written.some((other) =>
    other.name !== lease.name &&
    (overlaps(other.subnet, subnet) || isRival(other, attributes))
  );
  if (!lost) return lease;
  await registry.remove(lease, signal);
  return undefined;
}

/**
 * What was written up to the lease's own write; `undefined` if that revision
 * was compacted.
 */
async function listSince(
  registry: LeaseRegistry,
  { revision }: LeaseSnapshot,
  { modRevision }: Lease,
  signal: AbortSignal,
): Promise<Lease[] | undefined> {
  try {
    const span = { after: revision, upTo: modRevision };
    return await registry.listWritten(span, signal);
  } catch (error) {
    const isHistory = error instanceof RegistryError &&
      error.fault === "compacted";
    if (!isHistory) throw error;
    return undefined;
  }
}

/** A free subnet. @throws {PoolExhaustedError} that names the holders. */
async function allocate(
  { registry, random }: AcquisitionComponents,
  pool: SubnetPool,
  { step, snapshot }: {
    readonly step: Extract<AcquisitionStep, { type: "allocate" }>;
    readonly snapshot: LeaseSnapshot;
  },
  signal: AbortSignal,
): Promise<Cidr> {
  const subnet = allocateSubnet(pool, step.held, random);
  if (subnet !== undefined) return subnet;
  throw new PoolExhaustedError(pool, {
    heldCount: step.held.filter((cidr) => takesRoom(pool, cidr)).length,
    holders: await describeHoldings(registry, pool, snapshot, signal),
    room: describeRoom(pool),
  });
}

/** Whether another installation has this host's PublicIP. */
function isRival(
  lease: Lease,
  { publicIp, hostId }: LeaseAttributes,
): boolean {
  return lease.attributes.publicIp === publicIp &&
    lease.attributes.hostId !== undefined &&
    lease.attributes.hostId !== hostId;
}
