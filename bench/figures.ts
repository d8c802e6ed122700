/**
 * What is measured on a path: names, units, and which way is better.
 *
 * @module
 */

import { median } from "./median.ts";

/** One figure; its key is a name in the JSON. */
export interface Figure {
  readonly title: string;
  /** Places after the point, for people. */
  readonly digits: number;
  /** Whether a larger value is better. */
  readonly better: "more" | "less";
}

/** In the order of the report. */
export const FIGURES = {
  /** 10^9 bits of TCP payload a second, one stream. */
  tcpGbps: figure("TCP, 1 stream, Gbit/s", 2, "more"),
  /** The same of eight streams together. */
  tcp8Gbps: figure("TCP, 8 streams, Gbit/s", 2, "more"),
  /** TCP request/response of one byte. */
  rrPerSecond: figure("TCP request/response, 1/s", 0, "more"),
  rrP50Us: figure("  half of them within, us", 0, "less"),
  rrP99Us: figure("  99 % of them within, us", 0, "less"),
  /** UDP packets of 64 bytes of payload that reach the socket in a second. */
  pps64: figure("64-byte UDP, packets/s", 0, "more"),
  /** The same, when the sender's kernel cuts them (`UDP_SEGMENT`). */
  udpSegmentPps: figure("64-byte UDP with UDP_SEGMENT, packets/s", 0, "more"),
  /** Of the whole machine, both hosts and both programs, with one stream. */
  cpuSecondsPerGbit: figure("CPU seconds per Gbit, whole machine", 3, "less"),
  /** With a CPU for each host: the sending host's and its program's. */
  senderCpuSecondsPerGbit: figure("CPU seconds per Gbit, sender", 3, "less"),
  /** With a CPU for each host: the receiving host's and its program's. */
  receiverCpuSecondsPerGbit: figure(
    "CPU seconds per Gbit, receiver",
    3,
    "less",
  ),
} as const satisfies Record<string, Figure>;

/** The name of a figure. */
export type FigureName = keyof typeof FIGURES;

/** All of them, in the order of the report. */
export const FIGURE_NAMES = Object.keys(FIGURES) as readonly FigureName[];

/** One measurement's values, or their medians: those that were measured. */
export type PathFigures = Readonly<Partial<Record<FigureName, number>>>;

/** A run's values, in the order of the turns that the paths took. */
export type RunFigures = Readonly<
  Partial<Record<FigureName, readonly number[]>>
>;

/** The values of each turn, by figure. */
export function runFigures(turns: readonly PathFigures[]): RunFigures {
  return Object.fromEntries(
    FIGURE_NAMES.map((name) =>
      [name, turns.flatMap((figures) => figures[name] ?? [])] as const
    ).filter(([, values]) => values.length > 0),
  );
}

/**
 * The median of each figure that every run has.
 *
 * @param runs At least one.
 */
export function medianFigures(runs: readonly RunFigures[]): PathFigures {
  const medians: Partial<Record<FigureName, number>> = {};
  for (const name of FIGURE_NAMES) {
    const values = runs.flatMap(({ [name]: values }) =>
      values === undefined ? [] : [median(values)]
    );
    if (values.length === runs.length) {
      medians[name] = significant(median(values));
    }
  }
  return medians;
}

/** Four digits are more than any of this can be trusted to. */
export function significant(value: number): number {
  return Number(value.toPrecision(4));
}

function figure(
  title: string,
  digits: number,
  better: "more" | "less",
): Figure {
  return { title, digits, better };
}
