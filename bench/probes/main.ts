/**
 * What probes and metrics cost an agent with 1,000 peers that answer: processor
 * time and memory. Two hosts with the same peers run side by side, one of them
 * without probes and metrics, and then change places. The peers are one namespace
 * that has all their addresses; they send as many probes to the agent as it sends
 * to them.
 *
 *     deno run -A bench/probes/main.ts [SECONDS [PEERS]]
 *
 * Each agent runs from LODEN_BINARY, or from the sources.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { fromFileUrl } from "@std/path";
import type { Agent } from "../../tests/rig/agent.ts";
import { Daemon } from "../../tests/rig/daemon.ts";
import { Rig } from "../../tests/rig/rig.ts";
import {
  MANY_LEASES_ADDRESSES,
  MANY_LEASES_NETWORK,
} from "../../tests/support/many_leases.ts";
import { residentMemory } from "../measure/memory.ts";
import { processSeconds } from "../measure/process_cpu.ts";

const PREFIX = "/coreos.com/network";
const SUBNETS = "10.0.0.0/9";
const METRICS_PORT = "8480";
/** As Prometheus does by default. */
const SCRAPE_MS = 15_000;
const READY_MS = 60_000;
/** At most; a short measurement is only to see that it works. */
const SETTLE_MS = 35_000;
const WITHOUT = ["--probe-port=0"];
const WITH_BOTH = [`--metrics-port=${METRICS_PORT}`];

const [seconds = 60, peers = 1_000] = Deno.args.map(Number);

function program(
  directory: string,
  name: string,
  ...words: string[]
): string[] {
  const path = fromFileUrl(
    new URL(`../${directory}/programs/${name}`, import.meta.url),
  );
  return [Deno.execPath(), "run", "-A", path, ...words];
}

interface Cost {
  readonly cpuPercent: number;
  readonly rssAnonMb: number;
}

const hostsOf = (index: number) => `10.250.${index}.1`;

async function start(
  rig: Rig,
  index: number,
  name: string,
  flags: readonly string[],
): Promise<Agent> {
  const agent = await rig.startAgent(rig.host(index), {
    flags,
    // Files of its own, so that no round begins with the state of another.
    instance: name,
  });
  await agent.ready(READY_MS);
  while ((await agent.status()).peers.length < peers) await delay(200);
  return agent;
}

async function cost({ process: { pid } }: Agent): Promise<Cost> {
  const [before, begin] = [processSeconds(pid), performance.now()];
  await delay(seconds * 1_000);
  const worked = processSeconds(pid) - before;
  return {
    cpuPercent: worked / (performance.now() - begin) * 1e5,
    rssAnonMb: residentMemory(pid).rssAnonMb,
  };
}

async function scrape(rig: Rig, index: number): Promise<void> {
  const end = performance.now() + seconds * 1_000;
  while (performance.now() < end) {
    await rig.host(index).namespace.run([
      "curl",
      "-sf",
      "-o/dev/null",
      `http://127.0.0.1:${METRICS_PORT}/metrics`,
    ]);
    await delay(Math.min(SCRAPE_MS, Math.max(0, end - performance.now())));
  }
}

/** The first host has both, or the second. */
async function round(rig: Rig, withBoth: 0 | 1): Promise<[Cost, Cost]> {
  await using echoes = new Daemon({
    name: "the peers",
    command: [
      ...rig.switch.commandPrefix,
      ...program(
        "probes",
        "peers_that_answer.ts",
        `${peers}`,
        hostsOf(withBoth),
      ),
    ],
    logFile: `${rig.directory}/echoes${withBoth}.log`,
  });
  await echoes.untilLogged(/^listening$/m, READY_MS);
  const agents = await Promise.all(
    [0, 1].map((index) =>
      start(
        rig,
        index,
        `round${withBoth}`,
        index === withBoth ? WITH_BOTH : WITHOUT,
      )
    ),
  );
  await delay(Math.min(SETTLE_MS, seconds * 1_000));
  const [costs] = await Promise.all([
    Promise.all(agents.map(cost)),
    scrape(rig, withBoth),
  ]);
  const { probes } = await agents[withBoth]!.status();
  console.log(JSON.stringify(probes));
  for (const agent of agents) {
    await agent.stop(5_000);
    agent[Symbol.dispose]();
  }
  return [costs[withBoth]!, costs[1 - withBoth]!];
}

await using rig = await Rig.create({ hosts: 2 });
await rig.startEtcd();
await rig.publish({
  Network: MANY_LEASES_NETWORK,
  SubnetLen: 24,
  SubnetMin: "10.250.0.0",
  SubnetMax: "10.250.1.0",
  Backend: { Type: "host-gw" },
});
for (const [index, { address, namespace }] of rig.hosts.entries()) {
  // Which host has which subnet.
  await rig.etcd.ctl(
    "put",
    `${PREFIX}/subnets/10.250.${index}.0-24`,
    JSON.stringify({ PublicIP: address, BackendType: "host-gw" }),
  );
  await namespace.ip([
    `route add ${MANY_LEASES_ADDRESSES} dev eth0`,
    // Docker's bridge: the host's address in the overlay.
    "link add docker0 type bridge",
    `address add ${hostsOf(index)}/24 dev docker0`,
    "link set docker0 up",
  ]);
  await rig.switch.ip([`route add 10.250.${index}.0/24 via ${address}`]);
}
await rig.switch.ip([
  `route add local ${SUBNETS} dev lo`,
  `route add local ${MANY_LEASES_ADDRESSES} dev lo`,
]);
await rig.switch.run(
  program(
    "control",
    "write_leases.ts",
    rig.etcdEndpoint,
    PREFIX,
    `${peers}`,
    "host-gw",
  ),
);
const rounds = [await round(rig, 0), await round(rig, 1)];
const text = ({ cpuPercent, rssAnonMb }: Cost) =>
  `${cpuPercent.toFixed(2)} % of a processor, ${rssAnonMb.toFixed(1)} MB`;
for (const [withBoth, without] of rounds) {
  console.log(`with: ${text(withBoth)}; without: ${text(without)}`);
}
const difference = (of: keyof Cost) =>
  rounds.reduce((sum, [a, b]) => sum + a[of] - b[of], 0) / rounds.length;
console.log(
  `probes and metrics with ${peers} peers: ` +
    `${difference("cpuPercent").toFixed(2)} % of a processor, ` +
    `${difference("rssAnonMb").toFixed(1)} MB`,
);
