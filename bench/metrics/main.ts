/**
 * What scrapes cost an agent with the leases of many hosts: time, and processor time.
 * What metrics and probes take together, and memory, is measured by
 * bench/probes/main.ts.
 *
 *     deno run -A bench/metrics/main.ts [PEERS]
 *
 * First the metrics of the host alone, then those of each peer as well. The hosts of
 * the leases do not exist. The agent runs from LODEN_BINARY, or from the sources.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { Agent } from "../../tests/rig/agent.ts";
import { uniqueRigName } from "../../tests/rig/names.ts";
import { Rig } from "../../tests/rig/rig.ts";
import { destroyRig } from "../../tests/rig/teardown.ts";
import {
  MANY_LEASES_ADDRESSES,
  MANY_LEASES_NETWORK,
} from "../../tests/support/many_leases.ts";
import { percentile } from "../control/control_figures.ts";
import { processSeconds } from "../measure/process_cpu.ts";

const PREFIX = "/coreos.com/network";
const PORT = 9285;
const URL_OF_METRICS = `http://127.0.0.1:${PORT}/metrics`;
const SETTLE_MS = 8_000;
const IDLE_SECONDS = 20;
/** Farther apart than a copy is kept. */
const SCRAPES = 20;
const SCRAPE_PAUSE_MS = 1_100;
/** Prometheus' default. */
const SCRAPE_INTERVAL_SECONDS = 15;
const FLOOD = 3_000;

const signal = new AbortController().signal;
const peers = Number(Deno.args[0] ?? 1_000);

interface Scrapes {
  readonly ms: number[];
  readonly failed: number;
  readonly bytes: number;
  readonly tookMs: number;
}

function program(name: string, ...args: string[]): string[] {
  return [
    Deno.execPath(),
    ...["run", "-A", "--no-check"],
    new URL(`../programs/${name}`, import.meta.url).pathname,
    ...args,
  ];
}

const rigName = uniqueRigName();
try {
  await measure(await Rig.create({ hosts: 1, name: rigName }));
} finally {
  destroyRig(rigName);
}

async function measure(rig: Rig): Promise<void> {
  const host = rig.host(0);
  await rig.startEtcd();
  await rig.publish({
    Network: MANY_LEASES_NETWORK,
    SubnetLen: 24,
    SubnetMin: "10.250.0.0",
    SubnetMax: "10.250.255.0",
  });
  await host.namespace.ip([`route add ${MANY_LEASES_ADDRESSES} dev eth0`]);
  const writer = new URL(
    "../control/programs/write_leases.ts",
    import.meta.url,
  ).pathname;
  await rig.switch.run([
    ...[Deno.execPath(), "run", "-A", "--no-check", writer],
    ...[rig.etcdEndpoint, PREFIX, `${peers}`],
  ]);
  for (const flags of [[], ["--metrics-peers"]]) {
    await measureScrapes(rig, flags);
  }
}

async function measureScrapes(
  rig: Rig,
  flags: readonly string[],
): Promise<void> {
  const host = rig.host(0);
  const agent = await start(rig, [`--metrics-port=${PORT}`, ...flags]);
  const idlePercent = await idle(agent);
  const scrape = async (count: number, pauseMs: number) => {
    const { pid } = agent.process;
    const cpuBefore = processSeconds(pid);
    const text = await host.namespace.run(
      program("scrape.ts", URL_OF_METRICS, `${count}`, `${pauseMs}`),
    );
    const cpuSeconds = processSeconds(pid) - cpuBefore;
    return { ...JSON.parse(text) as Scrapes, cpuSeconds };
  };
  const first = await scrape(1, 0);
  const scrapes = await scrape(SCRAPES, SCRAPE_PAUSE_MS);
  const flood = await scrape(FLOOD, 1);
  await agent.stop();
  agent[Symbol.dispose]();

  // What the agent does besides in the same time.
  const idleSeconds = idlePercent / 100 * scrapes.tookMs / 1_000;
  const perScrape = Math.max(0, scrapes.cpuSeconds - idleSeconds) / SCRAPES;
  const share = perScrape / SCRAPE_INTERVAL_SECONDS * 100;
  const lines: [string, string][] = [
    ["peers", `${peers} ${flags.join(" ")}`],
    ["answer", `${(scrapes.bytes / 1e3).toFixed(1)} kB`],
    ["first scrape", `${first.ms[0]!.toFixed(1)} ms`],
    ["later scrapes, median", `${percentile(scrapes.ms, 0.5).toFixed(1)} ms`],
    ["later scrapes, worst", `${percentile(scrapes.ms, 1).toFixed(1)} ms`],
    ["processor time of a scrape", `${(perScrape * 1e3).toFixed(1)} ms`],
    ["... every 15 s, of a processor", `${share.toFixed(3)} %`],
    [
      "1,000 scrapes a second",
      `${flood.ms.length} answered, ${flood.failed} refused in ` +
      `${(flood.tookMs / 1e3).toFixed(1)} s; median ` +
      `${percentile(flood.ms, 0.5).toFixed(1)} ms; ` +
      `${(flood.cpuSeconds / flood.tookMs * 1e5).toFixed(0)} % of a processor`,
    ],
  ];
  for (const [name, value] of lines) console.log(`${name.padEnd(32)} ${value}`);
}

async function start(rig: Rig, more: readonly string[]): Promise<Agent> {
  const agent = await rig.startAgent(rig.host(0), {
    flags: ["--datapath=ebpf", ...more],
  });
  await agent.ready(60_000, signal);
  await delay(SETTLE_MS);
  return agent;
}

/** Of a processor. */
async function idle({ process: { pid } }: Agent): Promise<number> {
  const before = processSeconds(pid);
  await delay(IDLE_SECONDS * 1_000);
  return (processSeconds(pid) - before) / IDLE_SECONDS * 100;
}
