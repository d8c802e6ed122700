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
  /** Seconds after which it gives up in all; it ends when `count` are answered. */
  readonly deadlineSeconds?: number;
  /** More arguments, such as `-M do`. */
  readonly args?: readonly string[];
}

const ANSWER = / icmp_seq=(\d+) ttl=.*$/gm;

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
    `-c${options.count}`,
    `-i${options.intervalSeconds}`,
    ...options.deadlineSeconds ? [`-w${options.deadlineSeconds}`] : ["-W1"],
    ...options.args ?? [],
    address,
  ], signal ? { signal } : {});
  return parsePing(stdout, options.deadlineSeconds ? options.count : undefined);
}

/**
 * Reads what iputils' `ping` says.
 *
 * @param enough so many answers end it (with a deadline, it sends until it has
 * them). What was sent after the last answered one then was still on its way:
 * it counts neither as sent nor as lost.
 */
export function parsePing(output: string, enough = Infinity): PingResult {
  const counts = /^(\d+) packets transmitted, (\d+) received/m.exec(output);
  if (!counts) {
    throw new Error(
      `Cannot read what ping said: it must end with a summary: ${output}`,
    );
  }
  const received = Number(counts[2]);
  const numbers = [...output.matchAll(ANSWER)].map(([, number]) =>
    Number(number)
  );
  const times = /^rtt min\/avg\/max\/mdev = [\d.]+\/([\d.]+)\//m.exec(output);
  return {
    sent: received >= enough ? Math.max(...numbers) : Number(counts[1]),
    received,
    averageUs: times ? Number(times[1]) * 1000 : undefined,
  };
}
