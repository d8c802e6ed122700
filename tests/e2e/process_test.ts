/**
 * Agents as processes: signals, and several of them on one host.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { EACH_PATH } from "./data_paths.ts";
import { eventually, restart, statusOf } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";

/** It takes a second; a busy machine may need many. */
const STOP_MS = 20_000;
const REFUSE_MS = 10_000;

const suite = new OverlaySuite("process", { hosts: 1 });

suite.each(EACH_PATH, (test) => {
  test("the status names the process and its lease", async () => {
    const { agent } = suite.node(0);
    // With the data path, which it names, the lease is written once more.
    const status = await eventually(
      "a lease that is held",
      () => statusOf(suite.node(0)),
      ({ lease }) => lease?.state === "held",
    );
    assertEquals(status.pid, agent.process.pid);
    assertEquals(status.ready, true);
    assertMatch(status.lease!.subnet, /^10\.1\.\d+\.0\/24$/);
  });

  test("a second agent of the same network is refused and names the first", async () => {
    const { agent, flags, host } = suite.node(0);
    const second = await suite.rig.startAgent(host, {
      instance: "second",
      flags: [...flags, `--run-dir=${agent.files.runDirectory}`],
    });
    const code = await second.process.ended(REFUSE_MS);
    assert(code !== 0);
    assertMatch(second.process.log(), new RegExp(`\\b${agent.process.pid}\\b`));
    assertEquals(agent.process.exitCode, undefined);
  });

  test("a second agent of another network on the same port is refused and names the port", async () => {
    const { agent, flags, host } = suite.node(0);
    await suite.rig.publish({ Network: "10.9.0.0/16" }, "/same-port/network");
    const second = await suite.rig.startAgent(host, {
      instance: "same-port",
      flags: [...flags, "--etcd-prefix=/same-port/network"],
    });
    const code = await second.process.ended(REFUSE_MS);
    assert(code !== 0);
    assertMatch(second.process.log(), /8285/);
    assertEquals(agent.process.exitCode, undefined);
  });

  test("a second agent with another prefix, port and files runs next to the first", async () => {
    const { agent, flags, host } = suite.node(0);
    await suite.rig.publish(
      { Network: "10.9.0.0/16", Backend: { Type: "udp", Port: 8286 } },
      "/other/network",
    );
    const second = await suite.rig.startAgent(host, {
      instance: "other-network",
      flags: [...flags, "--etcd-prefix=/other/network"],
    });
    await second.ready();
    assertMatch(
      (await second.subnetEnv()).FLANNEL_SUBNET!,
      /^10\.9\.\d+\.1\/24$/,
    );
    assertEquals(agent.process.exitCode, undefined);
    assertEquals(await second.stop(), 0);
  });

  test("SIGUSR1 logs the counters and changes nothing else", async () => {
    const { agent } = suite.node(0);
    agent.process.kill("SIGUSR1");
    await agent.process.untilLogged(/rx\.drop\./, 5_000);
    await eventually(
      "the agent READY",
      () => statusOf(suite.node(0)),
      ({ ready }) => ready,
    );
  });

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`${signal} ends the agent in order, with code 0`, async () => {
      const node = suite.node(0);
      node.agent.process.kill(signal);
      assertEquals(await node.agent.process.ended(STOP_MS), 0);
      assertMatch(node.agent.process.log(), /"agent\.stopped"/);
      assert(node.agent.notifications().includes("STOPPING=1"));
      await restart(suite.rig, suite.node(0));
    });
  }

  test("an agent ends in order while etcd is dead", async () => {
    const node = suite.node(0);
    await suite.rig.etcd.kill();
    try {
      const startedAtMs = performance.now();
      assertEquals(await node.agent.stop(), 0);
      assert(performance.now() - startedAtMs < 1_500);
    } finally {
      await suite.rig.etcd.start();
      await restart(suite.rig, node);
    }
  });

  test("a second signal ends the agent at once, unless it has ended by then", async () => {
    const { agent } = suite.node(0);
    agent.process.kill("SIGTERM");
    agent.process.kill("SIGTERM");
    const code = await agent.process.ended(STOP_MS);
    assert(code === 143 || code === 0, `${code}`);
    await restart(suite.rig, suite.node(0));
  });
});
