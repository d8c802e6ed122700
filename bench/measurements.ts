/**
 * The measurements, one at a time between the two containers of a path.
 *
 * @module
 */

import type { PathFigures } from "./figures.ts";
import { busySeconds } from "./measure/cpu.ts";
import { CPU_EACH, ONE_CPU } from "./measure/placement.ts";
import { measureRequestResponse } from "./measure/request_response.ts";
import { measureSplitCpu } from "./measure/split_cpu.ts";
import { measureTcp } from "./measure/tcp.ts";
import { measureUdp } from "./measure/udp.ts";
import type { MeasuredPath } from "./paths/measured_path.ts";

/** One measurement and the figures that come of it. */
export interface Measurement {
  /** For the progress. */
  readonly title: string;
  measure(
    path: MeasuredPath,
    seconds: number,
    signal: AbortSignal,
  ): Promise<PathFigures>;
}

/** In the order in which they are made. */
export const MEASUREMENTS = {
  tcp: {
    title: "TCP, 1 stream",
    async measure({ link }, seconds, signal) {
      const busyBefore = busySeconds();
      const { bytes, gbps } = await measureTcp(
        link,
        { seconds, streams: 1 },
        signal,
      );
      const busy = busySeconds() - busyBefore;
      return { tcpGbps: gbps, cpuSecondsPerGbit: busy / (bytes * 8 / 1e9) };
    },
  },
  tcp8: {
    title: "TCP, 8 streams",
    async measure({ link }, seconds, signal) {
      const { gbps } = await measureTcp(link, { seconds, streams: 8 }, signal);
      return { tcp8Gbps: gbps };
    },
  },
  rr: {
    title: "request/response",
    async measure({ link }, seconds, signal) {
      const { p50Us, p99Us, perSecond } = await measureRequestResponse(
        link,
        { seconds, cpus: ONE_CPU },
        signal,
      );
      return { rrPerSecond: perSecond, rrP50Us: p50Us, rrP99Us: p99Us };
    },
  },
  udp: {
    title: "64-byte UDP",
    async measure({ link }, seconds, signal) {
      const { packetsPerSecond } = await measureUdp(
        link,
        { seconds, cpus: CPU_EACH },
        signal,
      );
      return { pps64: packetsPerSecond };
    },
  },
  "udp-segment": {
    title: "64-byte UDP with UDP_SEGMENT",
    async measure({ link }, seconds, signal) {
      const { packetsPerSecond } = await measureUdp(
        link,
        { seconds, segmented: true, cpus: CPU_EACH },
        signal,
      );
      return { udpSegmentPps: packetsPerSecond };
    },
  },
  "cpu-split": {
    title: "a CPU for each host",
    measure: measureSplitCpu,
  },
} as const satisfies Record<string, Measurement>;

/** What `--figures` takes beside the names above. */
const EXTRA = ["start", "restart"] as const;

/** A word of `--figures`. */
export type MeasurementName = keyof typeof MEASUREMENTS | typeof EXTRA[number];

/** All of them. */
export const MEASUREMENT_NAMES: readonly MeasurementName[] = [
  ...Object.keys(MEASUREMENTS) as (keyof typeof MEASUREMENTS)[],
  ...EXTRA,
];
