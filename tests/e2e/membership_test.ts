/**
 * Hosts that come, go, and come back.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { ping } from "../../bench/measure/ping.ts";
import { ANSWER_WITHIN_MS } from "../../lease/liveness/answer_times.ts";
import { exitCodes } from "../../agent/exit_codes.ts";
import { loden } from "../rig/agent.ts";
import { statusFaults, undescribed } from "../support/status_schema.ts";
import { EACH_PATH } from "./data_paths.ts";
import {
  eventually,
  join,
  type Node,
  restart,
  statusOf,
  SUBNETS,
} from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { QUICK } from "./traffic.ts";

/** Without grace, a host that leaves is no peer at once. */
const FLAGS = ["--peer-grace=0"];

const suite = new OverlaySuite("membership", {
  hosts: 3,
  agents: 2,
  flags: FLAGS,
  prepare: async ({ rig }, { dataPaths: [dataPath] }) => {
    third = await join(rig, rig.host(2), {
      dataPath: dataPath!,
      flags: FLAGS,
    });
  },
});
let third: Node;

async function subnetOf(node: Node): Promise<string> {
  return (await node.agent.subnetEnv()).FLANNEL_SUBNET!;
}

/** The key's last part, `10.1.5.0-24`. */
async function leaseKeyOf(node: Node): Promise<string> {
  const [address, length] = (await subnetOf(node)).split("/");
  return `${address!.replace(/\.1$/, ".0")}-${length}`;
}

async function peersOf(node: Node): Promise<string[]> {
  return (await statusOf(node)).peers.map((peer) => peer.publicIp).sort();
}

suite.each(EACH_PATH, (test, { traits }) => {
  test("a third host joins and all reach each other", async () => {
    const nodes = [...suite.nodes, third];
    for (const from of nodes) {
      for (const to of nodes.filter((node) => node !== from)) {
        await eventually(
          `pings from ${from.host.address} to ${to.host.address}`,
          () => ping(from.container.namespace, to.container.address, QUICK),
          (result) => result.received === result.sent,
        );
      }
    }
  });

  test("loden status lists the peers as its schema says, and tells an agent that hangs from one that is ready", async () => {
    const { agent, host } = suite.node(0);
    const status = await statusOf(suite.node(0));
    assertEquals(statusFaults(status), []);
    assertEquals(undescribed(status), []);
    const text = await agent.statusText();
    for (const { publicIp, since } of status.peers) {
      assert(since !== null);
      assertMatch(text, new RegExp(` ${publicIp} +\\d+ (s|min) +udp \\(`));
    }
    const ask = (...flags: string[]) =>
      loden(host.namespace, [
        "status",
        `--run-dir=${agent.files.runDirectory}`,
        ...flags,
      ]);
    agent.process.kill("SIGSTOP");
    try {
      const hangs = await ask();
      assertEquals(hangs.exitCode, exitCodes.notRunning);
      assertMatch(hangs.stderr, new RegExp(`${agent.process.pid} must answer`));
      assertEquals((await ask("--check=live")).exitCode, 1);
      assertEquals((await ask("--check=nagios")).exitCode, 2);
    } finally {
      agent.process.kill("SIGCONT");
    }
    assertEquals((await ask("--check=ready", "--wait=20s")).exitCode, 0);
  });

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    test(`an agent that ends by ${signal} takes the same subnet again`, async () => {
      const subnet = await subnetOf(third);
      third.agent.process.kill(signal);
      await third.agent.process.ended(5_000);
      // The file alone must not be what it remembers by.
      await Deno.remove(third.agent.files.subnetFile);
      await restart(suite.rig, third);
      assertEquals(await subnetOf(third), subnet);
      await eventually(
        "pings to the restarted host",
        () =>
          ping(
            suite.node(0).container.namespace,
            third.container.address,
            QUICK,
          ),
        (result) => result.received === result.sent,
      );
    });
  }

  // Half a minute, in which the data path has no part.
  if (traits.flowsWithoutAgent) {
    test("a host that lost all its files takes its subnet again, by its address", async () => {
      const subnet = await subnetOf(third);
      assertEquals(await third.agent.stop(), 0);
      await Deno.remove(third.agent.files.subnetFile);
      await Deno.remove(third.agent.files.stateDirectory, { recursive: true });
      // The host that it was is given the time to answer.
      await restart(suite.rig, third, [], {}, ANSWER_WITHIN_MS + 20_000);
      assertEquals(await subnetOf(third), subnet);
    });
  }

  test("a deleted lease is written again, and no packet is lost", async () => {
    const key = `${SUBNETS}/${await leaseKeyOf(suite.node(1))}`;
    const { etcd } = suite.rig;
    const before = await etcd.ctl("get", key);
    assert(before.includes(key));
    const pings = ping(
      suite.node(1).container.namespace,
      suite.node(0).host.address,
      { count: 150, intervalSeconds: 0.02, deadlineSeconds: 10 },
    );
    await etcd.ctl("del", key);
    await eventually(
      `${key} again`,
      () => etcd.ctl("get", key),
      (text) => text.includes(key),
    );
    const result = await pings;
    assertEquals(result.received, result.sent);
    assertEquals(await leaseKeyOf(suite.node(1)), key.split("/").at(-1));
  });

  test("a host whose lease is gone is no peer any more, and packets to it are refused", async () => {
    const key = `${SUBNETS}/${await leaseKeyOf(third)}`;
    assertEquals(await third.agent.stop(), 0);
    await suite.rig.etcd.ctl("del", key);
    for (const node of suite.nodes) {
      await eventually(
        "one peer only",
        () => peersOf(node),
        (peers) => peers.length === 1,
      );
    }
    const { stdout } = await suite.node(0).container.namespace.attempt(
      ["ping", "-n", "-c1", "-W2", third.container.address],
    );
    assertMatch(stdout, /Destination (Net|Host) Unreachable/);
  });
});
