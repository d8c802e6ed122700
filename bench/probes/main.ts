/**
 * What probes and metrics cost an agent with 1,000 peers that answer: processor
 * time and memory, beside an agent with the same peers and neither. The peers are
 * one namespace that has all their addresses; they send as many probes to the
 * agent as it sends to them.
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
const SCRAPE_MS = 15_000;
const READY_MS = 60_000;
const SETTLE_MS = 35_000;
const ROUNDS = 2;

const [seconds = 60, peers = 1_000] = Deno.args.map(Number);

const program = (directory: string, name: string, ...words: string[]) => [
  Deno.execPath(),
  "run",
  "-A",
  fromFileUrl(new URL(`../${directory}/programs/${name}`, import.meta.url)),
  ...words,
];

interface Cost {
  readonly cpuPercent: number;
  readonly rssAnonMb: number;
}

async function cost(
  rig: Rig,
  flags: readonly string[],
  during: () => Promise<void>,
): Promise<Cost> {
  const agent = await rig.startAgent(rig.host(0), { flags });
  try {
    await agent.ready(READY_MS);
    await untilPeers(agent);
    await delay(SETTLE_MS);
    const { pid } = agent.process;
    const [before, start] = [processSeconds(pid), performance.now()];
    await Promise.all([delay(seconds * 1_000), during()]);
    const worked = processSeconds(pid) - before;
    const { probes } = await agent.status();
    if (probes !== null) {
      console.log(
        `  ${probes.reachable} reachable, ${probes.unreachable} unreachable, ` +
          JSON.stringify(probes.counters),
      );
    }
    return {
      cpuPercent: worked / (performance.now() - start) * 1e5,
      rssAnonMb: residentMemory(pid).rssAnonMb,
    };
  } finally {
    await agent.stop(5_000);
    agent[Symbol.dispose]();
  }
}

async function untilPeers(agent: Agent): Promise<void> {
  while ((await agent.status()).peers.length < peers) await delay(200);
}

/** As Prometheus does by default. */
async function scrape(rig: Rig): Promise<void> {
  const end = performance.now() + seconds * 1_000;
  while (performance.now() < end) {
    await rig.host(0).namespace.run([
      "curl",
      "-sf",
      "-o/dev/null",
      `http://127.0.0.1:${METRICS_PORT}/metrics`,
    ]);
    await delay(SCRAPE_MS);
  }
}

await using rig = await Rig.create({ hosts: 1 });
await rig.startEtcd();
await rig.publish({
  Network: MANY_LEASES_NETWORK,
  SubnetLen: 24,
  SubnetMin: "10.250.0.0",
  SubnetMax: "10.250.0.0",
  Backend: { Type: "host-gw" },
});
const { namespace } = rig.host(0);
await namespace.ip([
  `route add ${MANY_LEASES_ADDRESSES} dev eth0`,
  // Docker's bridge: the host's address in the overlay.
  "link add docker0 type bridge",
  "address add 10.250.0.1/24 dev docker0",
  "link set docker0 up",
]);
await rig.switch.ip([
  `route add local ${SUBNETS} dev lo`,
  `route add local ${MANY_LEASES_ADDRESSES} dev lo`,
  `route add 10.250.0.0/24 via ${rig.host(0).address}`,
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
await using echoes = new Daemon({
  name: "the peers",
  command: [
    ...rig.switch.commandPrefix,
    ...program("probes", "peers_that_answer.ts", `${peers}`, "10.250.0.1"),
  ],
  logFile: `${rig.directory}/echoes.log`,
});
await echoes.untilLogged(/^listening$/m, 30_000);
const withBoth: Cost[] = [];
const without: Cost[] = [];
for (let round = 0; round < ROUNDS; round++) {
  without.push(await cost(rig, ["--probe-port=0"], () => Promise.resolve()));
  withBoth.push(
    await cost(
      rig,
      [`--metrics-port=${METRICS_PORT}`],
      () => scrape(rig),
    ),
  );
}
const show = (name: string, costs: readonly Cost[]) =>
  console.log(
    `${name}: ${
      costs.map(({ cpuPercent, rssAnonMb }) =>
        `${cpuPercent.toFixed(2)} % of a processor, ${rssAnonMb.toFixed(1)} MB`
      ).join("; ")
    }`,
  );
const mean = (costs: readonly Cost[], of: keyof Cost) =>
  costs.reduce((sum, each) => sum + each[of], 0) / costs.length;
show("without", without);
show("with probes and metrics", withBoth);
console.log(
  `probes and metrics with ${peers} peers: ` +
    `${
      (mean(withBoth, "cpuPercent") - mean(without, "cpuPercent")).toFixed(2)
    } % of a processor, ${
      (mean(withBoth, "rssAnonMb") - mean(without, "rssAnonMb")).toFixed(1)
    } MB`,
);
