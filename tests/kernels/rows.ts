/**
 * The table of two hosts: one row for each receive mode on each card.
 *
 * @module
 */

import { linuxSince } from "../support/kernel_release.ts";
import { type CardKind, type CardName, CARDS } from "./cards.ts";
import type { Mode } from "./modes.ts";

/** What the machines said, by the names that the guest's script has. */
export type Results = Readonly<Record<string, string>>;

/** Where a row comes from. */
export interface Origin {
  /** `uname -r`. */
  readonly release: string;
  readonly card: CardName;
  readonly mode: Mode;
}

/** One mode on one card, as the table shows it. */
export interface Row {
  readonly card: CardName;
  /** What was asked for: `--datapath=auto`. */
  readonly startedWith: string;
  /** What the agent says that it does: `gro by tcx`, `tun`. */
  readonly runs: string;
  /** There and back, in Mbit/s. */
  readonly tcp: string;
  /** Interrupts that 16 flows caused in each receive queue. */
  readonly queues: string;
  /** Pings of the underlay that were lost while the agents started. */
  readonly lostAtStart: string;
  /** Pings of containers that were lost while an agent was killed and started. */
  readonly lostInRestart: string;
  /** Seconds without pings: link down for two, and new rings. */
  readonly gaps: string;
  /** What is not as it must be; empty if all is well. */
  readonly faults: readonly string[];
  /** What others do wrong, as is known. */
  readonly notes: readonly string[];
}

/** What a packet must do, by the script's names of its results. */
const WANTED: Results = {
  ping: "0",
  largest: "0",
  larger: "refused",
  fragments: "0",
};
/** What trials must find, where they were made. */
const WANTED_OF_TRIALS: Results = {
  after_life: "0",
  counted: "all",
  possible: "0-65",
  lockdown: "confidentiality",
  explain: "0",
  monitor: "rx.drop.short",
  replug_left: "nothing",
};
/** Of the 2 Mbit/s that are sent. */
const LEAST_UDP_MEGABITS = 1.5;
/** Of the packets, in each queue. */
const LEAST_SHARE = 0.1;
/** The link is down for two seconds, and e1000e takes two to find it again. */
const LONGEST_GAP_SECONDS = 15;

/** What the command line of the agent was. */
export function startedWith([dataPath, receive]: Mode): string {
  return receive === "auto"
    ? `--datapath=${dataPath}`
    : `--ebpf-receive=${receive}`;
}

/** A row of the table. */
export function rowOf(origin: Origin, found: Results): Row {
  const { card, mode } = origin;
  const isKernelPath = mode[0] !== "tun";
  return {
    card,
    startedWith: startedWith(mode),
    runs: isKernelPath && found.path === "ebpf"
      ? `${found.receive} by ${found.attach}`
      : found.path ?? "",
    tcp: `${found.tcp} / ${found.tcp_back}`,
    queues: found.queues === undefined
      ? "one"
      : found.queues.split(" ").join(" / "),
    lostAtStart: `${found.attach_lost} in ${found.attach_gap} s`,
    lostInRestart: found.life ?? "-",
    gaps: found.down_gap === undefined
      ? "-"
      : `${found.down_gap} / ${found.rings_gap}`,
    faults: [
      ...pathFaults(origin, found),
      ...packetFaults(found),
      // Without the programs, no packet passes while no agent runs.
      ...isKernelPath && found.life !== undefined && found.life !== "0"
        ? [`kill and start: ${found.life} lost`]
        : [],
      ...isKernelPath ? queueFaults(found) : [],
    ],
    notes: [],
  };
}

/** Whether the agent runs what it was asked for, as far as the card can. */
function pathFaults(
  { card, mode: [dataPath, receive], release }: Origin,
  found: Results,
): string[] {
  if (dataPath === "tun") {
    return found.path === "tun" ? [] : [`data path: ${found.path}`];
  }
  if (found.path !== "ebpf") return [`data path: ${found.path}`];
  const wanted = receive === "auto" || (receive === "xdp" &&
      !runsXdp(card, release))
    ? "gro"
    : receive;
  const hook = linuxSince("6.6", release) ? "tcx" : "clsact";
  return [
    ...found.receive === wanted ? [] : [`receives by ${found.receive}`],
    ...found.attach === hook ? [] : [`attached by ${found.attach}`],
  ];
}

/** Whether the card's driver runs XDP programs on this kernel. */
export function runsXdp(card: CardName, release: string): boolean {
  const since = CARDS[card].xdpSince;
  return since !== undefined && linuxSince(since, release);
}

function packetFaults(found: Results): string[] {
  const faults = Object.entries(WANTED)
    .filter(([name, value]) => found[name] !== value)
    .map(([name]) => `${name}: ${found[name] ?? "none"}`);
  for (const [name, value] of Object.entries(WANTED_OF_TRIALS)) {
    const is = found[name];
    if (is !== undefined && is !== value) faults.push(`${name}: ${is}`);
  }
  for (const name of ["tcp", "tcp_back"]) {
    if (!(Number(found[name]) > 0)) faults.push(`${name}: nothing arrived`);
  }
  for (const name of ["udp", "udp_back"]) {
    if (!(Number(found[name]) >= LEAST_UDP_MEGABITS)) {
      faults.push(`${name}: ${found[name] || "none"} of 2 Mbit/s arrived`);
    }
  }
  for (const name of ["down_gap", "rings_gap", "replug_back"]) {
    const gap = found[name];
    if (
      gap === undefined || gap === "refused" ||
      Number(gap) < LONGEST_GAP_SECONDS
    ) continue;
    faults.push(`${name}: no packet for ${gap} s`);
  }
  return faults;
}

function queueFaults({ queues }: Results): string[] {
  if (queues === undefined) return [];
  const counts = queues.split(" ").map(Number);
  const sum = counts.reduce((sum, count) => sum + count, 0);
  return counts.some((count) => !(count >= LEAST_SHARE * sum)) || sum === 0
    ? [`flows are not spread over the queues: ${queues}`]
    : [];
}

/** The row of hosts that could not be tried to the end. */
export function brokenRow(
  card: CardName,
  mode: Mode | undefined,
  fault: string,
): Row {
  return {
    card,
    startedWith: mode === undefined ? "" : startedWith(mode),
    ...{ runs: "", tcp: "", queues: "", lostAtStart: "", lostInRestart: "" },
    gaps: "",
    faults: [fault],
    notes: [],
  };
}

/**
 * The rows of a card, after what each machine found when it had cleaned up. What
 * is left is a fault of the last row; a program that the driver forgot, of the
 * rows that had it attached.
 */
export function cleanedRows(
  rows: readonly Row[],
  machines: readonly Results[],
): Row[] {
  const left = new Set<string>();
  let forgotten = false;
  for (const { forgets, kept, left: others } of machines) {
    const isDrivers = forgets === "yes" &&
      rows.some(({ card }) => (CARDS[card] as CardKind).forgetsXdp);
    if (others !== "") left.add(others!);
    if (kept === "") continue;
    if (isDrivers) forgotten = true;
    else left.add(kept!);
  }
  return rows.map((row, index) => ({
    ...row,
    faults: index === rows.length - 1 && left.size > 0
      ? [...row.faults, `cleanup left ${[...left].join(" ")}`]
      : row.faults,
    notes: forgotten && row.runs.startsWith("xdp")
      ? ["the driver forgot the program"]
      : row.notes,
  }));
}

/** A row of one of the kernels. */
export type KernelRow = Row & { readonly kernel: string };

/** The columns of the table. */
export const HEAD: readonly string[] = [
  "kernel",
  "card",
  "started with",
  "receives",
  "TCP Mbit/s",
  "queues",
  "lost at start",
  "lost in restart",
  "link / rings",
  "result",
];

/** The first of {@linkcode HEAD} say which run a row is from. */
export const KEY_COLUMNS = 3;

/** A line of the table. */
export function cellsOf(row: KernelRow): string[] {
  return [
    row.kernel,
    row.card,
    row.startedWith,
    row.runs,
    row.tcp,
    row.queues,
    row.lostAtStart,
    row.lostInRestart,
    row.gaps,
    (row.faults.length === 0 ? ["passed", ...row.notes] : row.faults).join(
      "; ",
    ),
  ];
}
