/**
 * What is measured of the control plane: names, units, and the medians of runs.
 *
 * @module
 */

import { significant } from "../figures.ts";
import { median } from "../median.ts";

/** Of one agent; each key is a name in the JSON. Less is better. */
export interface AgentControlFigures {
  /** From the lease to all peers in the data path. */
  readonly firstSyncMs: number;
  /** From a put in etcd to the first packet, or the kernel's route, that follows it. */
  readonly changeP50Ms: number;
  readonly changeP99Ms: number;
  readonly changeMaxMs: number;
  /** All leases get another address: to write them to etcd. */
  readonly allWrittenMs: number;
  /** The same, until all are in the data path. */
  readonly allChangedMs: number;
  /** VmRSS with all leases, less that of an agent with none. */
  readonly rssAddedMb: number;
  readonly rssMb: number;
  /** Percent of one CPU, while nothing changes. */
  readonly idleCpuPercent: number;
}

/** Of many hosts at once. */
export interface TogetherFigures {
  /** Lease keepers that join: until all hold a subnet of their own. */
  readonly joinMs: number;
  /** The same with the subnets that they had. */
  readonly rejoinMs: number;
}

/** The median of each figure. @param runs At least one, all with the same keys. */
export function medians<Figures extends { [Name in keyof Figures]: number }>(
  runs: readonly Figures[],
): Figures {
  const names = Object.keys(runs[0]!) as (keyof Figures)[];
  return Object.fromEntries(
    names.map((name) => [name, significant(median(runs.map((r) => r[name])))]),
  ) as Figures;
}

/**
 * The least value that `share` of all do not exceed (nearest rank).
 *
 * @param values At least one.
 */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) {
    throw new RangeError(
      "Cannot take a percentile: there must be at least one value",
    );
  }
  const sorted = [...values].sort((a, b) => a - b);
  const rank = Math.max(1, Math.ceil(share * sorted.length));
  return sorted[rank - 1]!;
}
