/**
 * Two networks on the same hosts and cables, an agent for each.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { loden } from "../rig/agent.ts";
import type { Agent } from "../rig/agent.ts";
import type { Container } from "../rig/container.ts";
import { Rig } from "../rig/rig.ts";
import { placedPrograms } from "../rig/bpf_objects.ts";
import { DATA_PATHS, type DataPath } from "./data_paths.ts";
import { CONFIG } from "./overlay.ts";
import { SteadyTraffic } from "./steady_traffic.ts";
import { assertPings, assertTcp, assertUdpBursts } from "./traffic.ts";

const FIRST_PREFIX = "/coreos.com/network";
const SECOND_PREFIX = "/other/network";
const SECOND_CONFIG = {
  Network: "10.9.0.0/16",
  Backend: { Type: "udp", Port: 8286 },
};

/** One network's part of a host. */
interface Member {
  readonly agent: Agent;
  readonly container: Container;
}

/** Data paths of the first network and of the second, on both hosts. */
const PAIRS = DATA_PATHS.flatMap((first) =>
  DATA_PATHS.map((second) => [first, second] as const)
);

for (const linkMode of ["super", "software"] as const) {
  for (const [first, second] of PAIRS) {
    Deno.test(`two networks, ${first} and ${second}, ${linkMode} links: both carry packets, and each is removed without the other`, async () => {
      await using rig = await Rig.create({ hosts: 2 });
      await rig.setLinkMode(linkMode);
      await rig.startEtcd();
      await rig.publish(CONFIG, FIRST_PREFIX);
      await rig.publish(SECOND_CONFIG, SECOND_PREFIX);
      const networks = [
        await join(rig, first, FIRST_PREFIX, "docker0"),
        await join(rig, second, SECOND_PREFIX, "docker1"),
      ];
      const ends = networks.map(([from, to]) => ({
        rig,
        from: from!.container,
        to: to!.container,
      }));
      for (const each of ends) {
        await assertPings(each.from.namespace, each.to.address);
        await assertTcp(each, 20);
        await assertUdpBursts(each, 30);
      }
      await using traffic = await SteadyTraffic.start(ends[1]!);
      for (const [index, { namespace }] of rig.hosts.entries()) {
        await remove(networks[0]![index]!.agent, FIRST_PREFIX, namespace);
      }
      await traffic.assertNothingLost();
      for (const [index, { namespace }] of rig.hosts.entries()) {
        await remove(networks[1]![index]!.agent, SECOND_PREFIX, namespace);
        assertEquals(await placedPrograms(namespace), []);
        const links = await namespace.run(["ip", "-details", "link", "show"]);
        assert(!/flannel|loden:/.test(links), links);
      }
    });
  }
}

function join(
  rig: Rig,
  dataPath: DataPath,
  prefix: string,
  bridge: string,
): Promise<Member[]> {
  return Promise.all(rig.hosts.map(async (host) => {
    const agent = await rig.startAgent(host, {
      instance: bridge,
      flags: [`--datapath=${dataPath}`, `--etcd-prefix=${prefix}`],
    });
    await agent.ready();
    const container = await host.addContainer({
      ...await agent.bridge(),
      name: bridge,
    });
    return { agent, container };
  }));
}

async function remove(
  agent: Agent,
  prefix: string,
  namespace: Parameters<typeof loden>[0],
): Promise<void> {
  assertEquals(await agent.stop(), 0);
  const { exitCode, stderr } = await loden(namespace, [
    "cleanup",
    `--run-dir=${agent.files.runDirectory}`,
    `--etcd-prefix=${prefix}`,
  ]);
  assertEquals(exitCode, 0, stderr);
}
