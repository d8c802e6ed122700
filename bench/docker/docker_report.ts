/**
 * What `bench --docker` reports: its JSON form is an interface (`"schema": 1`).
 *
 * @module
 */

import type { HostFacts } from "../host_facts.ts";
import type { DockerPathName } from "../paths/path_names.ts";
import type { Ratio } from "../ratios.ts";
import type { PerMode } from "../report.ts";
import type { TrafficCourse } from "../restart/restart_figures.ts";

/** One stream of TCP; 10^9 bits of payload a second at the receiver, medians. */
export interface DockerThroughput {
  /** Between namespaces on a plain bridge. */
  readonly plainGbps: number;
  /** Between containers of Docker. */
  readonly dockerGbps: number;
  /** The second to the first in the same run. */
  readonly ratio: Ratio;
}

/** The agent under its unit. MB are 10^6 bytes. */
export interface UnitFigures {
  /** From exec to subnet.env, etcd up; median. */
  readonly startMs: number;
  /** VmRSS under load, the larger of the two agents. */
  readonly rssMb: number;
  /** The part of it that no file backs. */
  readonly rssAnonMb: number;
}

/** Something for each path. */
export type PerDockerPath<Value> = Readonly<
  Partial<Record<DockerPathName, Value>>
>;

/** One object, the last line of `--docker --json`. */
export interface DockerReport {
  readonly schema: 1;
  readonly host: HostFacts;
  readonly runs: number;
  /** Length of one measurement. */
  readonly seconds: number;
  /** What the units ran: the file that `LODEN_BINARY` names, or the sources. */
  readonly program: "binary" | "source";
  readonly dockerVersion: string;
  readonly throughput: PerDockerPath<PerMode<DockerThroughput>>;
  readonly agents: PerDockerPath<UnitFigures>;
  /** Program replaced and unit restarted on the receiving host, once a run. */
  readonly upgrades: PerDockerPath<readonly TrafficCourse[]>;
}
