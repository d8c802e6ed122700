/**
 * TCP throughput, by iperf3.
 *
 * @module
 */

import { type MeasuredLink, startServer } from "./link.ts";
import { onCpu, type ProgramCpus } from "./placement.ts";

/** What arrived. */
export interface TcpResult {
  /** 10^9 bits of payload a second, at the receiver. */
  readonly gbps: number;
  /** Bytes of payload, at the receiver. */
  readonly bytes: number;
}

/** How to send. */
export interface TcpOptions {
  readonly seconds: number;
  /** Number of connections. */
  readonly streams: number;
  readonly cpus?: ProgramCpus;
}

/** Sends for `seconds` over `streams` connections. */
export async function measureTcp(
  link: MeasuredLink,
  { cpus, seconds, streams }: TcpOptions,
  signal: AbortSignal,
): Promise<TcpResult> {
  const server = await startServer(
    link,
    // Into a file, it would keep its first line in a buffer.
    [...onCpu(cpus?.server), "iperf3", "--server", "--one-off", "--forceflush"],
    /Server listening/,
    signal,
  );
  try {
    const report = await link.client.namespace.run([
      ...onCpu(cpus?.client),
      "iperf3",
      `--client=${link.server.address}`,
      `--time=${seconds}`,
      `--parallel=${streams}`,
      "--json",
    ], { signal });
    return parseIperf3(report);
  } finally {
    await server.stop();
  }
}

/** Reads what `iperf3 --json` writes. Throws when the test failed. */
export function parseIperf3(report: string): TcpResult {
  const parsed = JSON.parse(report) as {
    error?: string;
    end?: { sum_received?: { bits_per_second: number; bytes: number } };
  };
  const received = parsed.end?.sum_received;
  if (parsed.error !== undefined || received === undefined) {
    throw new Error(
      `Cannot measure TCP: iperf3 must report what was received: it says ${
        parsed.error ?? "nothing"
      }`,
    );
  }
  return { gbps: received.bits_per_second / 1e9, bytes: received.bytes };
}
