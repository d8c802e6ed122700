/**
 * What happens to packets while agents end, come back and change their minds,
 * and while the devices below and above the overlay change.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import { ping } from "../../bench/measure/ping.ts";
import { loden } from "../rig/agent.ts";
import { EACH_PATH, KERNEL_PATH_SOFTWARE } from "./data_paths.ts";
import { eventually, type Node, restart, statusOf } from "./overlay.ts";
import { type Change, makeOtherVersion } from "./other_version.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { SteadyTraffic } from "./steady_traffic.ts";
import { assertPings, assertTcp, QUICK, untilAnswered } from "./traffic.ts";

/** How long the data path runs without an agent. */
const WITHOUT_AGENT_MS = 500;
const REPAIR_MS = 15_000;
const OVERLAY_MTU = 1472;
const IP_AND_ICMP_BYTES = 28;

/** Values of the peers' map that are larger than this version's. */
const OTHER_LAYOUT: readonly Change[] = [{
  path: "backend/udp/ebpf/maps.ts",
  from: "  DEADLINE: 16,\n  BYTES: 24,\n",
  to: "  DEADLINE: 24,\n  BYTES: 40,\n",
}];

const suite = new OverlaySuite("data path life", { hosts: 3, agents: 2 });

const ends = () => ({
  rig: suite.rig,
  from: suite.node(0).container,
  to: suite.node(1).container,
});

/** Kills and waits for the end. */
async function end(node: Node, signal: Deno.Signal): Promise<void> {
  node.agent.process.kill(signal);
  await node.agent.process.ended(5_000);
}

/** Waits until packets cross, in the form of both pings and TCP. */
async function untilAllIsWell(): Promise<void> {
  const { from, to } = ends();
  await untilAnswered(from.namespace, to.address, REPAIR_MS);
  await assertPings(from.namespace, to.address);
  await assertTcp(ends(), 5);
}

const SETUPS = [...EACH_PATH, ...KERNEL_PATH_SOFTWARE];

suite.each(SETUPS, (test, { linkMode, traits }) => {
  /**
   * Steady traffic while something happens to agents: where the path flows
   * without them, nothing is lost; else the stream lives.
   */
  const testAgents = (what: string, happens: () => Promise<void>) =>
    test(
      traits.flowsWithoutAgent
        ? `no packet is lost when ${what}`
        : `a stream lives when ${what}`,
      async () => {
        await using traffic = await SteadyTraffic.start(ends());
        await happens();
        if (traits.flowsWithoutAgent) await traffic.assertNothingLost();
        else await traffic.finish();
      },
    );

  testAgents("an agent is killed, stays away and comes back", async () => {
    await end(suite.node(0), "SIGKILL");
    await delay(WITHOUT_AGENT_MS);
    await restart(suite.rig, suite.node(0));
    await delay(WITHOUT_AGENT_MS);
  });

  testAgents("an agent is stopped and comes back", async () => {
    await end(suite.node(0), "SIGTERM");
    await delay(WITHOUT_AGENT_MS);
    await restart(suite.rig, suite.node(0));
    await delay(WITHOUT_AGENT_MS);
  });

  testAgents("both agents are killed and come back at once", async () => {
    await Promise.all(suite.nodes.map((node) => end(node, "SIGKILL")));
    await delay(WITHOUT_AGENT_MS);
    await Promise.all(suite.nodes.map((node) => restart(suite.rig, node)));
    await delay(WITHOUT_AGENT_MS);
  });

  testAgents(
    "an agent comes back with another check of senders",
    async () => {
      for (const check of ["off", "count", "strict"]) {
        await end(suite.node(1), "SIGTERM");
        await restart(suite.rig, suite.node(1), [`--sender-check=${check}`]);
      }
      await delay(WITHOUT_AGENT_MS);
    },
  );

  testAgents(
    "an agent is killed and comes back while etcd is away",
    async () => {
      await suite.rig.etcd.kill();
      try {
        await end(suite.node(0), "SIGKILL");
        await delay(WITHOUT_AGENT_MS);
        await restart(suite.rig, suite.node(0));
        await delay(WITHOUT_AGENT_MS);
      } finally {
        await suite.rig.etcd.start();
      }
      await eventually(
        "the lease held again",
        () => statusOf(suite.node(0)),
        ({ lease }) => lease?.state === "held",
        30_000,
      );
    },
  );

  testAgents(
    "another version with maps of another layout takes over, and this one again",
    async () => {
      const cliPath = await makeOtherVersion(
        `${suite.rig.directory}/${crypto.randomUUID()}`,
        OTHER_LAYOUT,
      );
      const node = suite.node(0);
      for (const options of [{ cliPath }, {}]) {
        await end(node, "SIGTERM");
        await restart(suite.rig, node, [], options);
        await delay(WITHOUT_AGENT_MS);
      }
    },
  );

  // What follows does not depend on the cables.
  if (linkMode !== "super") return;

  test("without an agent, senders still get ICMP errors, and nothing breaks", async () => {
    const node = suite.node(0);
    const { from, to } = ends();
    await end(node, "SIGKILL");
    try {
      const say = async (...args: string[]) => {
        const { stderr, stdout } = await from.namespace.attempt(
          ["ping", "-n", "-c1", "-W1", ...args],
        );
        return stdout + stderr;
      };
      // Answered by the route, or not at all: never by another host.
      const nobody = await say("10.1.255.9");
      assertMatch(nobody, / 0 received/);
      if (traits.flowsWithoutAgent) {
        assertMatch(nobody, /Destination (Net|Host) Unreachable/);
        assertMatch(
          await say("-t", "2", to.address),
          /Time to live exceeded/,
        );
        await from.namespace.ip(["link set eth0 mtu 1500"]);
        await node.host.namespace.ip(["link set docker0.1 mtu 1500"]);
        assertMatch(
          await say("-M", "do", "-s", "1460", to.address),
          new RegExp(`mtu = ${OVERLAY_MTU}\\b`),
        );
      }
    } finally {
      await from.namespace.ip([
        `link set eth0 mtu ${OVERLAY_MTU}`,
        "route flush cache",
      ]);
      await node.host.namespace.ip([`link set docker0.1 mtu ${OVERLAY_MTU}`]);
      await restart(suite.rig, node);
    }
    await untilAllIsWell();
  });

  test("packets flow again after the underlay was set down and up", async () => {
    const { namespace } = suite.node(0).host;
    await namespace.ip(["link set eth0 down"]);
    await delay(WITHOUT_AGENT_MS);
    await namespace.ip([
      "link set eth0 up",
      // The kernel forgets it with the device's state.
      "route replace default via 192.0.2.1",
    ]);
    await untilAllIsWell();
  });

  test("packets flow on after the underlay has another name, and a hardware address", async () => {
    const { namespace } = suite.node(0).host;
    const rename = (from: string, to: string, mac: string) =>
      namespace.ip([
        `link set ${from} down`,
        `link set ${from} name ${to}`,
        `link set ${to} address ${mac}`,
        `link set ${to} up`,
        "route replace default via 192.0.2.1",
      ]);
    const before = (await namespace.run([
      ...["cat", "/sys/class/net/eth0/address"],
    ])).trim();
    await rename("eth0", "uplink", "02:00:5e:00:53:02");
    try {
      await untilAllIsWell();
    } finally {
      await rename("uplink", "eth0", before);
    }
    await untilAllIsWell();
  });

  for (const promoted of [true, false]) {
    test(
      `a host that has another address takes the same subnet with it when its agent is restarted, where the kernel ${
        promoted ? "keeps" : "removes"
      } a first address's others`,
      async () => {
        const node = suite.node(0);
        const { namespace } = node.host;
        const { FLANNEL_SUBNET } = await node.agent.subnetEnv();
        const move = async (from: string, to: string) => {
          await namespace.ip([
            `address add ${to}/24 dev eth0`,
            `address delete ${from}/24 dev eth0`,
            `address replace ${to}/24 dev eth0`,
            "route replace default via 192.0.2.1",
          ]);
          await end(node, "SIGTERM");
          await restart(suite.rig, node);
          await untilAllIsWell();
          assertEquals(
            (await node.agent.subnetEnv()).FLANNEL_SUBNET,
            FLANNEL_SUBNET,
          );
          await eventually(
            `${to} as a peer`,
            () => statusOf(suite.node(1)),
            ({ peers }) =>
              peers.some(({ publicIp }) => publicIp === to) &&
              !peers.some(({ publicIp }) => publicIp === from),
          );
        };
        await node.host.promoteSecondaries(promoted);
        try {
          await move(node.host.address, "192.0.2.111");
          await move("192.0.2.111", node.host.address);
        } finally {
          await node.host.promoteSecondaries(true);
        }
      },
    );
  }

  test("senders learn of a smaller underlay MTU, and a larger one is used again", async () => {
    const { agent: { process }, host: { namespace } } = suite.node(0);
    const { from, to } = ends();
    const smallerBy = 100;
    // The agent follows, and its data path restarts with another MTU.
    const setMtu = async (bytes: number) => {
      const logged = process.log().length;
      await namespace.ip([`link set eth0 mtu ${bytes}`]);
      await process.until(
        `an overlay for the underlay's ${bytes} bytes`,
        () => process.log().slice(logged).includes("overlay.mtu-changed"),
        REPAIR_MS,
      );
    };
    const say = (size: number) =>
      from.namespace.attempt([
        ...["ping", "-n", "-c1", "-W1", "-M", "do", "-s", String(size)],
        to.address,
      ]).then(({ stderr, stdout }) => stdout + stderr);
    const largest = OVERLAY_MTU - IP_AND_ICMP_BYTES;
    await setMtu(1500 - smallerBy);
    try {
      const told = new RegExp(`mtu ?= ?${OVERLAY_MTU - smallerBy}\\b`);
      await eventually(
        "the smaller MTU",
        () => say(largest),
        (said) => told.test(said),
        REPAIR_MS,
      );
      assertMatch(await say(largest - smallerBy), / 1 received/);
      await untilAllIsWell();
    } finally {
      await setMtu(1500);
    }
    await eventually(
      "the whole MTU",
      async () => {
        // Each try that comes before the agent knows teaches the sender the
        // smaller MTU once more, and ping would then refuse by itself for minutes.
        await from.namespace.ip(["route flush cache"]);
        return await say(largest);
      },
      (said) => / 1 received/.test(said),
      REPAIR_MS,
    );
  });

  test("no packet is lost when another gateway leads to the peer, and when none does", async () => {
    const { namespace } = suite.node(0).host;
    const gateway = suite.rig.host(2);
    const peer = suite.node(1).host.address;
    // Else it tells of the shorter way, and the kernel takes it.
    await gateway.namespace.sysctl({
      "net/ipv4/conf/all/send_redirects": "0",
      "net/ipv4/conf/eth0/send_redirects": "0",
    });
    const forwarded = async () =>
      Number(
        /^Ip: (?:\d+ ){5}(\d+)/m.exec(
          await gateway.namespace.run(["cat", "/proc/net/snmp"]),
        )![1],
      );
    const before = await forwarded();
    await using traffic = await SteadyTraffic.start(ends());
    await namespace.ip([`route add ${peer} via ${gateway.address}`]);
    try {
      await delay(WITHOUT_AGENT_MS);
    } finally {
      await namespace.ip([`route delete ${peer}`]);
    }
    await delay(WITHOUT_AGENT_MS);
    await traffic.assertNothingLost();
    assert(await forwarded() > before + 50);
  });

  test("packets flow when the peer is reached through another device, and back", async () => {
    const [first, second] = [suite.node(0).host, suite.node(1).host];
    await suite.rig.switch.ip([
      "link add second type bridge",
      "link set second up",
    ]);
    for (const [index, { namespace }] of [first, second].entries()) {
      await suite.rig.switch.ip([
        `link add second${index} type veth peer name eth1 netns ${namespace.name}`,
        `link set second${index} master second up`,
      ]);
      await namespace.ip([
        `address add 198.51.100.${11 + index}/24 dev eth1`,
        "link set eth1 up",
      ]);
    }
    try {
      await first.namespace.ip([
        `route add ${second.address} via 198.51.100.12 src ${first.address}`,
      ]);
      await second.namespace.ip([
        `route add ${first.address} via 198.51.100.11 src ${second.address}`,
      ]);
      const crossed = async (way: "rx" | "tx") =>
        Number(
          await suite.rig.switch.run([
            ...["cat", `/sys/class/net/second0/statistics/${way}_packets`],
          ]),
        );
      const { from, to } = ends();
      // Until both agents have followed, packets go by the first device.
      await eventually(
        "pings by the other device, there and back",
        async () => {
          const before = [await crossed("rx"), await crossed("tx")] as const;
          const { received, sent } = await ping(
            from.namespace,
            to.address,
            QUICK,
          );
          return {
            lost: sent - received,
            there: await crossed("rx") - before[0],
            back: await crossed("tx") - before[1],
          };
        },
        ({ lost, there, back }) =>
          lost === 0 && there >= QUICK.count && back >= QUICK.count,
        REPAIR_MS,
      );
      await untilAllIsWell();
    } finally {
      await suite.rig.switch.ip([
        "link delete second0",
        "link delete second1",
      ]);
    }
    await untilAllIsWell();
  });

  test("an overlay device that is deleted by hand is made again, with a line in the log", async () => {
    const { agent, host } = suite.node(0);
    const before = agent.process.log().length;
    await host.namespace.ip(["link delete flannel0"]);
    await untilAllIsWell();
    assertMatch(
      agent.process.log().slice(before),
      /"level":"(warn|warning|error)".*flannel0/,
    );
    assertEquals(agent.process.exitCode, undefined);
  });

  test("a second agent with files of its own is refused while the first has the device, and packets flow on", async () => {
    const { agent, flags, host } = suite.node(0);
    await using traffic = await SteadyTraffic.start(ends());
    const second = await suite.rig.startAgent(host, {
      instance: "second",
      flags,
    });
    assert(await second.process.ended(10_000) !== 0);
    assertMatch(second.process.log(), /"level":"error"/);
    assertEquals(agent.process.exitCode, undefined);
    await traffic.assertNothingLost();
  });

  test("an agent of another network does not take the device by its name", async () => {
    const { agent, flags, host } = suite.node(0);
    await suite.rig.publish(
      { Network: "10.9.0.0/16", Backend: { Type: "udp", Port: 8286 } },
      "/other/network",
    );
    await using traffic = await SteadyTraffic.start(ends());
    const second = await suite.rig.startAgent(host, {
      instance: "thief",
      flags: [...flags, "--etcd-prefix=/other/network", "--device=flannel0"],
    });
    assert(await second.process.ended(10_000) !== 0);
    assertMatch(second.process.log(), /flannel0/);
    assertEquals(agent.process.exitCode, undefined);
    await traffic.assertNothingLost();
  });

  test("after cleanup there is no device, no route and no rule, and the agent starts as on a new host", async () => {
    const node = suite.node(0);
    await end(node, "SIGTERM");
    const { exitCode, stderr } = await loden(node.host.namespace, [
      "cleanup",
      `--run-dir=${node.agent.files.runDirectory}`,
    ]);
    assertEquals(exitCode, 0, stderr);
    const { namespace } = node.host;
    const links = await namespace.run(["ip", "-details", "link", "show"]);
    assert(!/flannel0|loden:/.test(links), links);
    const routes = await namespace.run(
      ["ip", "route", "show", "table", "all"],
    );
    assert(!/ 10\.1\.0\.0\/16|flannel0/.test(routes), routes);
    await restart(suite.rig, node);
    await untilAllIsWell();
  });
});
