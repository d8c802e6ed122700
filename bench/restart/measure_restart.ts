/**
 * An agent is killed, restarted and replaced under traffic.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { LinkMode } from "../../tests/rig/link_mode.ts";
import type { LodenPath, LodenPathName } from "../paths/loden_path.ts";
import type {
  Disturbance,
  RestartFigures,
  TrafficCourse,
} from "./restart_figures.ts";
import { SteadyPing } from "./steady_ping.ts";
import { SteadyStream } from "./steady_stream.ts";

/** The agent of the receiving host. */
const AGENT = 1;
/** Traffic before, and after all is as it was. */
const BEFORE_MS = 500;
const AFTER_MS = 1_000;
/** How long a killed agent is away. */
const AWAY_MS = 500;

/** What an upgrade changes: each carries packets in another way. */
const OTHER_FLAGS: Readonly<Record<LodenPathName, readonly string[]>> = {
  "udp-tun": ["--disable-feature=helper-thread"],
  "udp-ebpf": ["--ebpf-receive=gro"],
  "udp-ebpf-xdp": ["--ebpf-receive=gro"],
  "udp-ebpf-gro": ["--ebpf-receive=direct"],
  "udp-ebpf-direct": ["--ebpf-receive=gro"],
};

/** The agent is afterwards as it was, and etcd is up. */
export async function measureRestart(
  path: LodenPath,
  mode: LinkMode,
  disturbance: Disturbance,
  signal: AbortSignal,
): Promise<RestartFigures> {
  const figures = await underTraffic(
    path,
    signal,
    () => disturb(path, disturbance, signal),
  );
  if (disturbance.action === "upgrade") {
    await path.stopAgent(AGENT, "SIGTERM");
    await path.startAgent(AGENT, [], signal);
  }
  return { mode, ...disturbance, ...figures };
}

async function underTraffic(
  { link }: LodenPath,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<TrafficCourse> {
  await using stream = await SteadyStream.start(link, signal);
  await using ping = await SteadyPing.start(link, signal);
  await delay(BEFORE_MS, { signal });
  await work();
  await delay(AFTER_MS, { signal });
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

async function disturb(
  path: LodenPath,
  { action, etcd }: Disturbance,
  signal: AbortSignal,
): Promise<void> {
  if (etcd === "away") await path.rig.etcd.kill();
  try {
    switch (action) {
      case "none":
        return await delay(AWAY_MS, { signal });
      case "kill":
        await path.stopAgent(AGENT, "SIGKILL");
        await delay(AWAY_MS, { signal });
        await path.startAgent(AGENT, [], signal);
        return;
      case "restart":
        await path.stopAgent(AGENT, "SIGTERM");
        await path.startAgent(AGENT, [], signal);
        return;
      case "upgrade":
        await path.stopAgent(AGENT, "SIGTERM");
        await path.startAgent(AGENT, OTHER_FLAGS[path.name], signal);
        return;
    }
  } finally {
    if (etcd === "away") await path.rig.etcd.start();
  }
}
