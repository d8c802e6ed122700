/**
 * TCP request/response of one byte, by netperf.
 *
 * sockperf was the other choice: its smallest message has 14 bytes and it
 * reports half round trips, so its figures are not comparable with other tools' TCP_RR.
 *
 * @module
 */

import { type MeasuredLink, startServer } from "./link.ts";
import { onCpu, type ProgramCpus } from "./placement.ts";

const CONTROL_PORT = 12_865;

/** Rate and latency of the round trips. */
export interface RequestResponseResult {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/** One connection, one request at a time. */
export async function measureRequestResponse(
  link: MeasuredLink,
  { cpus, seconds }: { cpus?: ProgramCpus; seconds: number },
  signal: AbortSignal,
): Promise<RequestResponseResult> {
  const server = await startServer(
    link,
    [
      ...onCpu(cpus?.server),
      "netserver",
      "-D",
      "-4",
      "-L",
      link.server.address,
    ],
    /Starting netserver/,
    signal,
  );
  try {
    return parseNetperf(
      await link.client.namespace.run([
        ...onCpu(cpus?.client),
        "netperf",
        "-4",
        "-H",
        link.server.address,
        "-p",
        String(CONTROL_PORT),
        "-t",
        "TCP_RR",
        "-l",
        String(seconds),
        "--",
        "-r",
        "1,1",
        "-k",
        "THROUGHPUT,P50_LATENCY,P99_LATENCY",
      ], { signal }),
    );
  } finally {
    await server.stop();
  }
}

/** Reads netperf's `NAME=value` lines. */
export function parseNetperf(output: string): RequestResponseResult {
  const value = (name: string) => {
    const match = new RegExp(`^${name}=([\\d.]+)$`, "m").exec(output);
    if (!match) {
      throw new Error(
        `Cannot measure request/response: netperf must report ${name}: it ` +
          `says ${output}`,
      );
    }
    return Number(match[1]);
  };
  return {
    perSecond: value("THROUGHPUT"),
    p50Us: value("P50_LATENCY"),
    p99Us: value("P99_LATENCY"),
  };
}
