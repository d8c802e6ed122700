/**
 * One agent with the leases of many other hosts, on a real etcd.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { fromFileUrl } from "@std/path";
import type { Agent } from "../../tests/rig/agent.ts";
import { Daemon } from "../../tests/rig/daemon.ts";
import {
  INTERNET_ADDRESS,
  type Rig,
  SWITCH_ADDRESS,
} from "../../tests/rig/rig.ts";
import {
  MANY_LEASES_ADDRESSES,
  MANY_LEASES_NETWORK,
} from "../../tests/support/many_leases.ts";
import { residentMemory } from "../measure/memory.ts";
import { processSeconds } from "../measure/process_cpu.ts";
import { type AgentControlFigures, percentile } from "./control_figures.ts";
import type { ControlPath } from "./control_paths.ts";
import type { ControlSizes } from "./control_sizes.ts";
import { firstSyncMs } from "./sync_time.ts";

const FLAGS: Readonly<Record<ControlPath, readonly string[]>> = {
  "udp-tun": ["--datapath=tun"],
  "udp-ebpf": ["--datapath=ebpf"],
  vxlan: [],
  "host-gw": [],
};
export const PREFIX = "/coreos.com/network";
const UDP_PORT = 8285;
/** Of the agent, apart from those of the leases and of the changes. */
const CONFIG = {
  Network: MANY_LEASES_NETWORK,
  SubnetLen: 24,
  SubnetMin: "10.250.0.0",
  SubnetMax: "10.250.255.0",
};
const FIRST_CHANGED_SUBNET = "10.200.0.0";
const READY_TIMEOUT_MS = 60_000;
const ECHO_TIMEOUT_MS = 10_000;
const NOTIFICATIONS_MS = 20;

/** In a fresh rig with one host, which it leaves running. */
export async function measureAgent(
  rig: Rig,
  path: ControlPath,
  sizes: ControlSizes,
  signal: AbortSignal,
): Promise<AgentControlFigures> {
  const type = path === "vxlan" || path === "host-gw" ? path : "udp";
  const host = rig.host(0);
  await rig.startEtcd();
  await rig.publish({ ...CONFIG, Backend: { Type: type } });
  // For host-gw, the other hosts must be on the link.
  await host.namespace.ip([`route add ${MANY_LEASES_ADDRESSES} dev eth0`]);
  const start = async () => {
    const agent = await rig.startAgent(host, { flags: FLAGS[path] });
    await agent.ready(READY_TIMEOUT_MS, signal);
    return agent;
  };
  const alone = await start();
  await delay(sizes.settleSeconds * 1_000, { signal });
  const { rssMb: rssAloneMb } = residentMemory(alone.process.pid);
  await alone.stop();
  alone[Symbol.dispose]();

  const write = (moved: number) =>
    rig.switch.run(
      program(
        "write_leases.ts",
        rig.etcdEndpoint,
        PREFIX,
        `${sizes.leases}`,
        type,
        `${moved}`,
      ),
      { signal },
    );
  await write(0);
  const agent = await start();
  const syncMs = await untilSynced(agent, sizes.leases, signal);
  await delay(sizes.settleSeconds * 1_000, { signal });
  const { rssMb } = residentMemory(agent.process.pid);
  const idleCpuPercent = await idleCpu(agent, sizes.idleSeconds, signal);
  const changesMs = type === "udp"
    ? await measureChanges(rig, agent, sizes.changes, signal)
    : await followRoutes(rig, type, sizes.changes, signal);
  const before = countChanged(agent.process.log());
  const startedAtMs = performance.now();
  await write(1);
  const writtenAtMs = performance.now();
  await agent.process.until(
    `${sizes.leases} changes in the log of ${agent.process.name}`,
    () => countChanged(agent.process.log()) - before >= sizes.leases,
    READY_TIMEOUT_MS,
    signal,
  );
  const allChangedMs = performance.now() - startedAtMs;
  return {
    firstSyncMs: syncMs,
    allWrittenMs: writtenAtMs - startedAtMs,
    allChangedMs,
    changeP50Ms: percentile(changesMs, 0.5),
    changeP99Ms: percentile(changesMs, 0.99),
    changeMaxMs: percentile(changesMs, 1),
    rssAddedMb: rssMb - rssAloneMb,
    rssMb,
    idleCpuPercent,
  };
}

/** Peers that have changed so far, by the log. */
function countChanged(log: string): number {
  return [...log.matchAll(/"event":"peers\.changed".*?"changed":(\d+)/g)]
    .reduce((sum, [, changed]) => sum + Number(changed), 0);
}

/** Milliseconds of each change, of a backend whose routes show it. */
async function followRoutes(
  rig: Rig,
  type: string,
  changes: number,
  signal: AbortSignal,
): Promise<number[]> {
  const printed = await rig.host(0).namespace.run(
    program(
      "follow_routes.ts",
      rig.etcdEndpoint,
      PREFIX,
      `${changes}`,
      FIRST_CHANGED_SUBNET,
      type,
    ),
    { signal },
  );
  return JSON.parse(printed) as number[];
}

async function untilSynced(
  { process }: Agent,
  leases: number,
  signal: AbortSignal,
): Promise<number> {
  let syncMs: number | undefined;
  await process.until(
    `${leases} peers in the log of ${process.name}`,
    () => (syncMs = firstSyncMs(process.log(), leases)) !== undefined,
    READY_TIMEOUT_MS,
    signal,
  );
  return syncMs!;
}

async function idleCpu(
  { process: { pid } }: Agent,
  seconds: number,
  signal: AbortSignal,
): Promise<number> {
  const [workedBefore, before] = [processSeconds(pid), performance.now()];
  await delay(seconds * 1_000, { signal });
  const worked = processSeconds(pid) - workedBefore;
  return 100 * worked / ((performance.now() - before) / 1_000);
}

/** Milliseconds of each change. */
async function measureChanges(
  rig: Rig,
  agent: Agent,
  changes: number,
  signal: AbortSignal,
): Promise<number[]> {
  const addresses = [SWITCH_ADDRESS, INTERNET_ADDRESS];
  await using echo = new Daemon({
    name: "the peers that answer",
    command: [
      ...rig.switch.commandPrefix,
      ...program("overlay_echo.ts", `${UDP_PORT}`, ...addresses),
    ],
    logFile: `${rig.directory}/echo.log`,
  });
  await echo.untilLogged(/^listening$/m, ECHO_TIMEOUT_MS, signal);
  // As a service manager does: its queue has room for ten messages.
  const reading = setInterval(() => agent.notifications(), NOTIFICATIONS_MS);
  using _reading = { [Symbol.dispose]: () => clearInterval(reading) };
  const printed = await rig.host(0).namespace.run(
    program(
      "follow_changes.ts",
      rig.etcdEndpoint,
      PREFIX,
      `${changes}`,
      FIRST_CHANGED_SUBNET,
      ...addresses,
    ),
    { signal },
  );
  return JSON.parse(printed) as number[];
}

/** The command of a program of `programs/`. */
export function program(name: string, ...words: readonly string[]): string[] {
  const path = fromFileUrl(new URL(`programs/${name}`, import.meta.url));
  return [Deno.execPath(), "run", "-A", path, ...words];
}
