/**
 * An agent is killed, restarted and replaced under traffic.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { LinkMode } from "../../tests/rig/link_mode.ts";
import {
  type UdpPath,
  type UniformPathName,
  wayOf,
} from "../paths/udp_path.ts";
import type { Disturbance, RestartFigures } from "./restart_figures.ts";
import { underTraffic } from "./under_traffic.ts";

/** The agent of the receiving host. */
const AGENT = 1;
/** How long a killed agent is away. */
const AWAY_MS = 500;

/** What an upgrade changes: each carries packets in another way. */
const OTHER_FLAGS: Readonly<Record<UniformPathName, readonly string[]>> = {
  "udp-tun": ["--disable-feature=helper-thread"],
  "udp-ebpf": ["--ebpf-receive=gro"],
  "udp-ebpf-xdp": ["--ebpf-receive=gro"],
  "udp-ebpf-gro": ["--ebpf-receive=direct"],
  "udp-ebpf-direct": ["--ebpf-receive=gro"],
};

/** The agent is afterwards as it was, and etcd is up. */
export async function measureRestart(
  path: UdpPath,
  mode: LinkMode,
  disturbance: Disturbance,
  signal: AbortSignal,
): Promise<RestartFigures> {
  const figures = await underTraffic(
    path.link,
    signal,
    () => disturb(path, disturbance, signal),
  );
  if (disturbance.action === "upgrade") {
    await path.stopAgent(AGENT, "SIGTERM");
    await path.startAgent(AGENT, [], signal);
  }
  return { mode, ...disturbance, ...figures };
}

async function disturb(
  path: UdpPath,
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
        await path.startAgent(
          AGENT,
          OTHER_FLAGS[wayOf(path.name, AGENT)],
          signal,
        );
        return;
    }
  } finally {
    if (etcd === "away") await path.rig.etcd.start();
  }
}
