/**
 * The control plane's report: its JSON form is an interface (`"schema": 1`), its
 * text is for people.
 *
 * @module
 */

import type { HostFacts } from "../host_facts.ts";
import type {
  AgentControlFigures,
  TogetherFigures,
} from "./control_figures.ts";
import type { ControlPath } from "./control_paths.ts";

/** One object, the last line of `--control --json`. MB are 10^6 bytes. */
export interface ControlReport {
  readonly schema: 1;
  readonly host: HostFacts;
  readonly runs: number;
  /** Of other hosts, in etcd. */
  readonly leases: number;
  /** Measured in each run. */
  readonly changes: number;
  /** Lease keepers that join at once. */
  readonly joiners: number;
  /** Medians over the runs, of the paths that were asked for. */
  readonly agents: Readonly<Partial<Record<ControlPath, AgentControlFigures>>>;
  readonly together: TogetherFigures;
}

const TITLE_WIDTH = 44;
const COLUMN_WIDTH = 12;

/** Renders it. */
export function renderControlReport(report: ControlReport): string {
  const { agents, changes, host, joiners, leases, runs, together } = report;
  const paths = Object.keys(agents) as ControlPath[];
  const row = (
    title: string,
    digits: number,
    figure: (figures: AgentControlFigures) => number,
  ) =>
    line(
      title,
      paths.map((path) => figure(agents[path]!).toFixed(digits)),
    );
  return [
    `${host.cpus} x ${host.cpuModel}, Linux ${host.kernel}; median of ${runs}`,
    "",
    line(`one agent, ${leases} leases (less is better)`, paths),
    row("first sync, ms", 0, (figures) => figures.firstSyncMs),
    row(
      `one change (of ${changes}), median, ms`,
      1,
      (figures) => figures.changeP50Ms,
    ),
    row("  99 % within, ms", 1, (figures) => figures.changeP99Ms),
    row("  all within, ms", 1, (figures) => figures.changeMaxMs),
    row("all change, written to etcd, ms", 0, (f) => f.allWrittenMs),
    row("  in the data path, ms", 0, (f) => f.allChangedMs),
    row("resident memory, MB", 1, (figures) => figures.rssMb),
    row("  added by the leases, MB", 1, (figures) => figures.rssAddedMb),
    row(
      "CPU while nothing changes, % of one",
      2,
      (figures) => figures.idleCpuPercent,
    ),
    "",
    line(`${joiners} hosts at once (less is better)`, []),
    line("all hold a subnet of their own, ms", [together.joinMs.toFixed(0)]),
    line("all restarted, with the same subnet, ms", [
      together.rejoinMs.toFixed(0),
    ]),
  ].join("\n");
}

function line(title: string, cells: readonly string[]): string {
  return (title.padEnd(TITLE_WIDTH) +
    cells.map((cell) => cell.padStart(COLUMN_WIDTH)).join("")).trimEnd();
}
