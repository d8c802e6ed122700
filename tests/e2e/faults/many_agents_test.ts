/**
 * Many agents that do the same at the same instant.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Agent } from "../../rig/agent.ts";
import { Rig } from "../../rig/rig.ts";
import type { EtcdServer } from "../../support/etcd.ts";
import { orphanedEtcdLeases } from "../../support/etcd_leases.ts";
import { CONFIG, eventually, SUBNETS } from "../overlay.ts";
import { SteadyTraffic } from "../steady_traffic.ts";

const COUNT = 50;
/** For all of them, on two processors that others use as well. */
const ALL_READY_MS = 240_000;
const SETTLED_MS = 60_000;
const DATA_PATH = "ebpf";
const PING_INTERVAL_SECONDS = 0.02;

Deno.test(`${COUNT} hosts that join at the same instant have ${COUNT} subnets, and the same ones after all agents were killed and started at the same instant; no packet is lost`, async () => {
  await using rig = await Rig.create({ hosts: COUNT });
  const etcd = await rig.startEtcd();
  await rig.publish(CONFIG);
  const first = await startAll(rig);
  const subnets = await Promise.all(first.map(subnetOf));
  assertEquals(new Set(subnets).size, COUNT);
  await untilSettled(etcd, first);
  const [from, to] = await Promise.all(
    first.slice(0, 2).map(async (agent, index) =>
      await rig.host(index).addContainer(await agent.bridge())
    ),
  );
  await using traffic = await SteadyTraffic.start(
    { rig, from: from!, to: to! },
    PING_INTERVAL_SECONDS,
  );
  await Promise.all(first.map(async (agent) => {
    agent.process.kill("SIGKILL");
    await agent.process.ended(ALL_READY_MS);
    agent[Symbol.dispose]();
  }));
  const second = await startAll(rig);
  assertEquals(await Promise.all(second.map(subnetOf)), subnets);
  await traffic.assertNothingLost();
  await untilSettled(etcd, second);
});

async function startAll(rig: Rig): Promise<Agent[]> {
  const agents = await Promise.all(
    rig.hosts.map((host) =>
      rig.startAgent(host, {
        // All namespaces share one table of neighbours, and 50 agents that probe
        // each other would fill it (gc_thresh3 is 1,024).
        flags: [`--datapath=${DATA_PATH}`, "--probe-port=0"],
      })
    ),
  );
  await Promise.all(agents.map((agent) => agent.ready(ALL_READY_MS)));
  return agents;
}

async function subnetOf(agent: Agent): Promise<string> {
  return (await agent.subnetEnv()).FLANNEL_SUBNET!;
}

/**
 * Each agent knows all others, each lease says what carries packets, and in etcd
 * is one key for each host and nothing else: races that were lost leave nothing.
 */
async function untilSettled(
  { ctl }: EtcdServer,
  agents: readonly Agent[],
): Promise<void> {
  for (const agent of agents) {
    await eventually(
      `all others in the status of ${agent.process.name}`,
      async () => {
        const { peers } = await agent.status();
        return peers.filter(({ dataPath, stale }) =>
          !stale && dataPath === DATA_PATH
        ).length;
      },
      (count) => count === COUNT - 1,
      SETTLED_MS,
    );
  }
  await eventually(
    "one key for each host, and nothing else",
    async () => {
      const said = await ctl("get", "--prefix", "--keys-only", `${SUBNETS}/`);
      return {
        keys: said.split("\n").filter((line) => line !== "").length,
        orphans: await orphanedEtcdLeases(ctl),
      };
    },
    ({ keys, orphans }) => keys === COUNT && orphans.length === 0,
    SETTLED_MS,
  );
}
