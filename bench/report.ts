/**
 * The report: its JSON form is an interface (`"schema": 2`).
 *
 * @module
 */

import type { LinkMode } from "../tests/rig/link_mode.ts";
import type { PathFigures } from "./figures.ts";
import type { HostFacts } from "./host_facts.ts";
import type { PathName } from "./paths/path_names.ts";
import type { PathRatios } from "./ratios.ts";
import type { RestartFigures } from "./restart/restart_figures.ts";

/** What one agent costs; `null` is what was not measured. MB are 10^6 bytes. */
export interface AgentFigures {
  /** From exec to subnet.env, etcd up, warm cache. */
  readonly startMs: number | null;
  /** Of these, programs and maps made and attached; `null` where there are none. */
  readonly loadMs: number | null;
  /** VmRSS under load, the larger of the two agents. */
  readonly rssMb: number | null;
  /** The part of it that no file backs. */
  readonly rssAnonMb: number | null;
}

/** Something for each mode in which it was measured. */
export type PerMode<Value> = Readonly<Partial<Record<LinkMode, Value>>>;
/** Something for each path that was measured. */
export type PerPath<Value> = Readonly<Partial<Record<PathName, Value>>>;

/** One object, the last line of `--json`. */
export interface BenchReport {
  readonly schema: 2;
  readonly host: HostFacts;
  /** What the agents ran: the file that `LODEN_BINARY` names, or the sources. */
  readonly program: "binary" | "source";
  readonly runs: number;
  /** Length of one measurement. */
  readonly seconds: number;
  /** Medians over the runs. */
  readonly paths: PerPath<PerMode<PathFigures>>;
  /** What `ratios` compare with; `null` when no such path was measured. */
  readonly ratiosTo: PathName | null;
  /** To that path in the same run. */
  readonly ratios: PerPath<PerMode<PathRatios>>;
  /** To the path `underlay` in the same run; empty when it was not measured. */
  readonly underlayRatios: PerPath<PerMode<PathRatios>>;
  /** How the kernel data path took packets from the underlay. */
  readonly receive: PerPath<PerMode<string>>;
  readonly agents: PerPath<AgentFigures>;
  readonly restart: PerPath<readonly RestartFigures[]>;
  /** What the programs beside Loden say about their version. */
  readonly versions: PerPath<string>;
}
