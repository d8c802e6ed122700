/**
 * The metrics of every process that Prometheus' client libraries know.
 *
 * @module
 */

import process from "node:process";
import type { Sample } from "./metric.ts";

/** By the names that all client libraries use. */
export function processSamples() {
  const { system, user } = process.cpuUsage();
  return {
    process_start_time_seconds: one(performance.timeOrigin / 1_000),
    process_cpu_seconds_total: one((user + system) / 1e6),
    process_resident_memory_bytes: one(Deno.memoryUsage().rss),
    process_open_fds: one([...Deno.readDirSync("/proc/self/fd")].length),
  };
}

function one(value: number): readonly Sample[] {
  return [{ value }];
}
