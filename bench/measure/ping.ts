/**
 * Round trips of ICMP echo.
 *
 * @module
 */

import type { NetNamespace } from "../../tests/rig/namespace.ts";

/** What `ping` reports. */
export interface PingResult {
  readonly sent: number;
  readonly received: number;
  /** Mean round trip in microseconds; `undefined` when nothing came back. */
  readonly averageUs: number | undefined;
}

/** How to ping. */
export interface PingOptions {
  readonly count: number;
  readonly intervalSeconds: number;
  /** Seconds after which it gives up in all. */
  readonly deadlineSeconds?: number;
  /** More arguments, such as `-M do`. */
  readonly args?: readonly string[];
}

/** Pings `address`; lost packets are no error, but numbers. */
export async function ping(
  from: NetNamespace,
  address: string,
  options: PingOptions,
  signal?: AbortSignal,
): Promise<PingResult> {
  const { stdout } = await from.attempt([
    "ping",
    "-n",
    "-q",
    `-c${options.count}`,
    `-i${options.intervalSeconds}`,
    ...options.deadlineSeconds ? [`-w${options.deadlineSeconds}`] : ["-W1"],
    ...options.args ?? [],
    address,
  ], { env: { LC_ALL: "C" }, ...(signal ? { signal } : {}) });
  return parsePing(stdout);
}

/** Reads the summary of iputils' `ping -q`. */
export function parsePing(output: string): PingResult {
  const counts = /^(\d+) packets transmitted, (\d+) received/m.exec(output);
  if (!counts) {
    throw new Error(
      `Cannot read what ping said: it must end with a summary: ${output}`,
    );
  }
  const times = /^rtt min\/avg\/max\/mdev = [\d.]+\/([\d.]+)\//m.exec(output);
  return {
    sent: Number(counts[1]),
    received: Number(counts[2]),
    averageUs: times ? Number(times[1]) * 1000 : undefined,
  };
}
