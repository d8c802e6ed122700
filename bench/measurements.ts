/**
 * The measurements, one at a time between the two containers of a path.
 *
 * @module
 */

import type { PathFigures } from "./figures.ts";
import { busySeconds } from "./measure/cpu.ts";
import { openRequestResponse } from "./measure/request_response.ts";
import { measureSplitCpu } from "./measure/split_cpu.ts";
import { measureTcp } from "./measure/tcp.ts";
import { openUdp } from "./measure/udp.ts";
import type { MeasuredPath } from "./paths/measured_path.ts";
import type { ShortTurn } from "./turns.ts";

/** One measurement and the figures that come of it. */
export type Measurement =
  & {
    /** For the progress. */
    readonly title: string;
  }
  & ({
    /** In one turn of so many seconds. */
    measure(
      path: MeasuredPath,
      seconds: number,
      signal: AbortSignal,
    ): Promise<PathFigures>;
  } | {
    /** In many short ones, with programs that are started once. */
    open(
      path: MeasuredPath,
      programs: AsyncDisposableStack,
    ): Promise<ShortTurn>;
  });

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
    open: ({ link }, programs) => openRequestResponse(link, programs),
  },
  udp: {
    title: "64-byte UDP",
    open: ({ link }, programs) => openUdp(link, "messages", "pps64", programs),
  },
  "udp-segment": {
    title: "64-byte UDP with UDP_SEGMENT",
    open: ({ link }, programs) =>
      openUdp(link, "segmented", "udpSegmentPps", programs),
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
