/**
 * The report for people: plain text with bars.
 *
 * @module
 */

import type { LinkMode } from "../tests/rig/link_mode.ts";
import { FIGURE_NAMES, type FigureName, FIGURES } from "./figures.ts";
import { LINK_MODES, PATH_NAMES, type PathName } from "./paths/path_names.ts";
import type { Ratio } from "./ratios.ts";
import type { BenchReport } from "./report.ts";

const BAR_WIDTH = 30;
const NAME_WIDTH = Math.max(...PATH_NAMES.map((name) => name.length));
const RATIO_WIDTH = 20;

const MODES: Readonly<Record<LinkMode, string>> = {
  super:
    "super: hosts of one kernel; 64 KiB packets cross whole, unlike on any real link",
  software: "software: packets cross one by one",
  wire:
    "wire: packets cross one by one, each in a page of its own, as a network card receives them",
};

/** What is put beside VXLAN, or what stands for it, in one table. */
const COMPARED: readonly FigureName[] = [
  "tcpGbps",
  "tcp8Gbps",
  "rrPerSecond",
  "pps64",
  "udpSegmentPps",
  "cpuSecondsPerGbit",
];

/** Renders the whole report. */
export function renderReport(report: BenchReport): string {
  const { host, runs, seconds } = report;
  return [
    `${host.cpus} x ${host.cpuModel}, Linux ${host.kernel}, ` +
    `${host.congestionControl}; median of ${runs} x ${seconds} s; ` +
    "container to container",
    ...LINK_MODES.flatMap((mode) => renderMode(report, mode)),
    ...renderRatios(report.ratiosTo, report.ratios),
    ...renderRatios("underlay", report.underlayRatios),
    ...renderRestarts(report),
    ...renderAgents(report),
    ...renderVersions(report),
  ].join("\n");
}

function renderMode(report: BenchReport, mode: LinkMode): string[] {
  const figures = FIGURE_NAMES.flatMap((name) =>
    renderFigure(report, mode, name)
  );
  return figures.length === 0 ? [] : ["", MODES[mode], ...figures];
}

function renderFigure(
  report: BenchReport,
  mode: LinkMode,
  figure: FigureName,
): string[] {
  const { better, digits, title } = FIGURES[figure];
  const rows = PATH_NAMES.flatMap((name) => {
    const value = report.paths[name]?.[mode]?.[figure];
    return value === undefined ? [] : [{ name, value }];
  });
  if (rows.length === 0) return [];
  const longest = Math.max(...rows.map(({ value }) => value));
  return [
    `  ${title}${better === "less" ? " (less is better)" : ""}`,
    ...rows.map(({ name, value }) =>
      [
        `    ${name.padEnd(NAME_WIDTH)}`,
        grouped(value, digits).padStart(10),
        "  " + bar(value, longest).padEnd(BAR_WIDTH) + " ",
        report.receive[name]?.[mode] ?? "",
      ].join(" ").trimEnd()
    ),
  ];
}

function renderRatios(
  base: PathName | null,
  ratios: BenchReport["ratios"],
): string[] {
  const modes = LINK_MODES.filter((mode) =>
    PATH_NAMES.some((name) => Object.keys(ratios[name]?.[mode] ?? {}).length)
  );
  if (modes.length === 0) return [];
  return [
    "",
    `ratios to ${base} in the same run: median, lowest - highest`,
    `    ${" ".repeat(NAME_WIDTH)}  ` +
    modes.map((mode) => mode.padEnd(RATIO_WIDTH)).join("").trimEnd(),
    ...COMPARED.flatMap((figure) => {
      const rows = PATH_NAMES.flatMap((name) => {
        const cells = modes.map((mode) => ratios[name]?.[mode]?.[figure]);
        return cells.every((cell) => cell === undefined)
          ? []
          : [ratioRow(name, cells)];
      });
      return rows.length === 0 ? [] : [`  ${FIGURES[figure].title}`, ...rows];
    }),
  ];
}

function ratioRow(
  name: PathName,
  cells: readonly (Ratio | undefined)[],
): string {
  const texts = cells.map((cell) =>
    cell === undefined
      ? "-"
      : `${cell.median.toFixed(2)}  ${cell.least.toFixed(2)} - ` +
        cell.most.toFixed(2)
  );
  return `    ${name.padEnd(NAME_WIDTH)}  ` +
    texts.map((text) => text.padEnd(RATIO_WIDTH)).join("").trimEnd();
}

function renderRestarts({ restart }: BenchReport): string[] {
  const rows = PATH_NAMES.flatMap((name) =>
    (restart[name] ?? []).map((figures) =>
      `    ${name.padEnd(NAME_WIDTH)}  ${figures.mode.padEnd(8)}  ` +
      `${figures.action.padEnd(7)}  etcd ${figures.etcd.padEnd(4)}  ` +
      `${figures.pingLost} of ${figures.pingSent} pings lost` +
      (figures.pingLost > 0 ? `, ${figures.pingOutageMs} ms` : "") +
      (figures.streamAlive ? "" : ", the stream ended") +
      (figures.streamPauseMs > 0
        ? `, the stream paused ${figures.streamPauseMs} ms`
        : "")
    )
  );
  return rows.length === 0
    ? []
    : ["", "the receiver's agent, under a 5 ms ping and a TCP stream", ...rows];
}

function renderAgents({ agents }: BenchReport): string[] {
  const rows = PATH_NAMES.flatMap((name) => {
    const { loadMs, rssAnonMb, rssMb, startMs } = agents[name] ?? {};
    const texts = [
      startMs == null ? [] : `${startMs.toFixed(0)} ms from exec to subnet.env`,
      loadMs == null ? [] : `${loadMs.toFixed(1)} ms of it to load programs`,
      rssMb == null ? [] : `${rssMb.toFixed(0)} MB resident under load`,
      rssAnonMb == null
        ? []
        : `${rssAnonMb.toFixed(0)} MB without the runtime's files`,
    ].flat();
    return texts.length === 0
      ? []
      : [`    ${name.padEnd(NAME_WIDTH)}  ${texts.join(", ")}`];
  });
  return rows.length === 0 ? [] : ["", "agent", ...rows];
}

function renderVersions({ versions }: BenchReport): string[] {
  const texts = Object.entries(versions).map((words) => words.join(" "));
  return texts.length === 0 ? [] : ["", `programs: ${texts.join("; ")}`];
}

function grouped(value: number, digits: number): string {
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

function bar(value: number, longest: number): string {
  if (!(longest > 0)) return "";
  return "█".repeat(Math.round(value / longest * BAR_WIDTH));
}
