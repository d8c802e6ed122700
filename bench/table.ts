/**
 * The report for people: plain text with bars.
 *
 * @module
 */

import {
  type BenchReport,
  LINK_MODES,
  PATH_NAMES,
  type PathFigures,
} from "./report.ts";

interface Column {
  readonly title: string;
  readonly key: keyof PathFigures;
  readonly format: (value: number) => string;
  /** Whether a longer bar is better. */
  readonly better: "more" | "less";
}

const COLUMNS: readonly Column[] = [
  column("TCP, 1 stream, Gbit/s", "tcpGbps", 2, "more"),
  column("TCP, 8 streams, Gbit/s", "tcp8Gbps", 2, "more"),
  column("TCP request/response, 1/s", "rrPerSecond", 0, "more"),
  column("  half of them within, us", "rrP50Us", 0, "less"),
  column("  99 % of them within, us", "rrP99Us", 0, "less"),
  column("64-byte UDP, packets/s", "pps64", 0, "more"),
  column("CPU-seconds a Gbit", "cpuSecondsPerGbit", 3, "less"),
];

const BAR_WIDTH = 30;
const MODES = {
  super: "super: the underlay passes 64 KiB packets whole",
  software: "software: one packet per buffer crosses, as on a wire",
};

/** Renders the whole report. */
export function renderReport(report: BenchReport): string {
  const { host, runs } = report;
  const lines = [
    `${host.cpus} x ${host.cpuModel}, Linux ${host.kernel}, ` +
    `${host.congestionControl}; median of ${runs}; container to container`,
  ];
  for (const mode of LINK_MODES) {
    lines.push("", MODES[mode]);
    for (const { better, format, key, title } of COLUMNS) {
      const rows = PATH_NAMES.flatMap((name) => {
        const figures = report.paths[name]?.[mode];
        return figures ? [{ name, value: figures[key] }] : [];
      });
      const longest = Math.max(...rows.map((row) => row.value));
      const vxlan = report.paths.vxlan?.[mode][key];
      lines.push(
        `  ${title}${better === "less" ? " (less is better)" : ""}`,
        ...rows.map(({ name, value }) =>
          `    ${name.padEnd(9)}${format(value).padStart(10)}  ` +
          `${bar(value, longest).padEnd(BAR_WIDTH)}  ` +
          ratio(value, vxlan)
        ).map((line) => line.trimEnd()),
      );
    }
  }
  if (report.agent) {
    const { rssAnonMb, rssMb, startMs } = report.agent;
    lines.push(
      "",
      `agent: ${startMs.toFixed(0)} ms from exec to subnet.env, ` +
        `${rssMb.toFixed(0)} MB resident under load ` +
        `(${rssAnonMb.toFixed(0)} MB without the runtime's files)`,
    );
  }
  return lines.join("\n");
}

function column(
  title: string,
  key: keyof PathFigures,
  digits: number,
  better: "more" | "less",
): Column {
  const format = (value: number) =>
    value.toLocaleString("en-US", {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
  return { title, key, format, better };
}

function bar(value: number, longest: number): string {
  if (!(longest > 0)) return "";
  return "█".repeat(Math.round(value / longest * BAR_WIDTH));
}

function ratio(value: number, vxlan: number | undefined): string {
  return vxlan ? `${(value / vxlan).toFixed(2)} of vxlan` : "";
}
