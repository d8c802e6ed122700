/**
 * Something is done under traffic.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { MeasuredLink } from "../measure/link.ts";
import type { TrafficCourse } from "./restart_figures.ts";
import { SteadyPing } from "./steady_ping.ts";
import { SteadyStream } from "./steady_stream.ts";

/** Traffic before, and after all is as it was; at least. */
const BEFORE_MS = 500;
const AFTER_MS = 1_000;

/** Does `work` while a ping and a TCP stream go on, and says what they noticed. */
export async function underTraffic(
  link: MeasuredLink,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<TrafficCourse> {
  await using stream = await SteadyStream.start(link, signal);
  await using ping = await SteadyPing.start(link, signal);
  await delay(BEFORE_MS, { signal });
  const startedAtMs = performance.now();
  await work();
  // TCP doubles its pauses: a stream that was cut off for so long tries again
  // within the same time (RFC 6298, 5.5).
  const workMs = performance.now() - startedAtMs;
  await delay(Math.max(AFTER_MS, workMs), { signal });
  const { lost, outageMs, sent } = await ping.finish();
  const { alive, pauseMs } = await stream.finish();
  return {
    pingSent: sent,
    pingLost: lost,
    pingOutageMs: outageMs,
    streamAlive: alive,
    streamPauseMs: pauseMs,
  };
}
