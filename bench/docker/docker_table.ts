/**
 * The report of `bench --docker` for people.
 *
 * @module
 */

import {
  DOCKER_PATH_NAMES,
  type DockerPathName,
  LINK_MODES,
} from "../paths/path_names.ts";
import type { DockerReport } from "./docker_report.ts";

const NAME_WIDTH = Math.max(...DOCKER_PATH_NAMES.map(({ length }) => length));
const MODE_WIDTH = Math.max(...LINK_MODES.map(({ length }) => length));

/** Renders the whole report. */
export function renderDockerReport(report: DockerReport): string {
  const { dockerVersion, host, program, runs, seconds } = report;
  return [
    `${host.cpus} x ${host.cpuModel}, Linux ${host.kernel}, ` +
    `${host.congestionControl}; Docker ${dockerVersion}; Loden's ${program}; ` +
    `median of ${runs} x ${seconds} s`,
    ...section(
      "TCP, 1 stream, Gbit/s: without Docker, with it; ratio: median, least - most",
      (name) => throughputRows(report, name),
    ),
    ...section("the agent's unit", (name) => agentRow(report, name)),
    ...section(
      "upgrades of the receiver's agent, under a 5 ms ping and a TCP stream",
      (name) => upgradeRows(report, name),
    ),
  ].join("\n");
}

function section(
  title: string,
  rows: (name: DockerPathName) => readonly string[],
): string[] {
  const lines = DOCKER_PATH_NAMES.flatMap((name) =>
    rows(name).map((row) => `  ${name.padEnd(NAME_WIDTH)}  ${row}`)
  );
  return lines.length === 0 ? [] : ["", title, ...lines];
}

function throughputRows(
  { throughput }: DockerReport,
  name: DockerPathName,
): string[] {
  return LINK_MODES.flatMap((mode) => {
    const found = throughput[name]?.[mode];
    if (found === undefined) return [];
    const { dockerGbps, plainGbps, ratio } = found;
    return [
      [
        mode.padEnd(MODE_WIDTH),
        plainGbps.toFixed(2).padStart(6),
        dockerGbps.toFixed(2).padStart(6),
        ratio.median.toFixed(2).padStart(6),
        ` ${ratio.least.toFixed(2)} - ${ratio.most.toFixed(2)}`,
      ].join("  "),
    ];
  });
}

function agentRow({ agents }: DockerReport, name: DockerPathName): string[] {
  const found = agents[name];
  if (found === undefined) return [];
  const { rssAnonMb, rssMb, startMs } = found;
  return [
    `${startMs.toFixed(0)} ms from exec to subnet.env, ` +
    `${rssMb.toFixed(0)} MB resident under load, ` +
    `${rssAnonMb.toFixed(0)} MB without the runtime's files`,
  ];
}

function upgradeRows(
  { upgrades }: DockerReport,
  name: DockerPathName,
): string[] {
  return (upgrades[name] ?? []).map((course) =>
    `${course.pingLost} of ${course.pingSent} pings lost, the stream ` +
    `${course.streamAlive ? "lives" : "ended"}` +
    (course.streamPauseMs > 0 ? `, paused ${course.streamPauseMs} ms` : "")
  );
}
