/**
 * The report: its JSON form is an interface (`"schema": 1`).
 *
 * @module
 */

import type { LinkMode } from "../tests/rig/link_mode.ts";
import type { HostFacts } from "./host_facts.ts";
import { median } from "./median.ts";

/** In the order of the report. */
export const PATH_NAMES = ["underlay", "vxlan", "udp-tun"] as const;
/** A way from container to container. */
export type PathName = typeof PATH_NAMES[number];

/** In the order of the report. */
export const LINK_MODES: readonly LinkMode[] = ["super", "software"];

/** What is measured on a path in a mode; one run's values or their medians. */
export interface PathFigures {
  /** 10^9 bits of TCP payload a second, one stream. */
  readonly tcpGbps: number;
  /** The same of eight streams together. */
  readonly tcp8Gbps: number;
  /** TCP request/response of one byte. */
  readonly rrPerSecond: number;
  readonly rrP50Us: number;
  readonly rrP99Us: number;
  /** UDP packets of 64 bytes of payload that reach the socket in a second. */
  readonly pps64: number;
  /** Of the whole machine, both hosts and both programs, with one stream. */
  readonly cpuSecondsPerGbit: number;
}

/** What one agent costs. Megabytes are of 10^6 bytes. */
export interface AgentFigures {
  /** From exec to subnet.env, etcd up, warm cache. */
  readonly startMs: number;
  /** VmRSS under load, the larger of the two agents. */
  readonly rssMb: number;
  /** The part of it that no file backs. */
  readonly rssAnonMb: number;
}

/** One object, the last line of `--json`. */
export interface BenchReport {
  readonly schema: 1;
  readonly host: HostFacts;
  readonly runs: number;
  readonly paths: Readonly<
    Partial<Record<PathName, Readonly<Record<LinkMode, PathFigures>>>>
  >;
  /** `null` when no agent was measured. */
  readonly agent: AgentFigures | null;
}

/** The median of each figure. */
export function medianFigures<Figures extends object>(
  runs: readonly Figures[],
): Figures {
  const keys = Object.keys(runs[0]!) as (keyof Figures)[];
  return Object.fromEntries(
    keys.map((key) => [
      key,
      significant(median(runs.map((figures) => Number(figures[key])))),
    ]),
  ) as Figures;
}

/** Four digits are more than any of this can be trusted to. */
function significant(value: number): number {
  return Number(value.toPrecision(4));
}
