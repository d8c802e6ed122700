/**
 * Agents that are there before what they need.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import { ping } from "../../bench/measure/ping.ts";
import type { Agent } from "../rig/agent.ts";
import { Rig } from "../rig/rig.ts";
import { DATA_PATHS } from "./data_paths.ts";
import { CONFIG, serve } from "./overlay.ts";
import { program } from "./programs/path.ts";
import { ProcessEndedError } from "../rig/errors.ts";

const WAIT_MS = 10_000;

/** Lines of a JSON log without their time. */
function lines(agent: Agent): string[] {
  return agent.process.log().split("\n").filter((line) => line.startsWith("{"))
    .map((line) => {
      const { time: _time, ...rest } = JSON.parse(line);
      return JSON.stringify(rest);
    });
}

/** Warnings and errors that were said more than once. */
function repeated(agent: Agent): string[] {
  const troubles = lines(agent).filter((line) =>
    /"level":"(warn|warning|error)"/.test(line)
  );
  return troubles.filter((line, index) => troubles.indexOf(line) !== index);
}

Deno.test("an unknown backend ends the agent with one clear line and code 1", async () => {
  await using rig = await Rig.create({ hosts: 1 });
  await rig.startEtcd();
  await rig.publish({ ...CONFIG, Backend: { Type: "carrier-pigeon" } });
  const agent = await rig.startAgent(rig.host(0));
  assertEquals(await agent.process.ended(WAIT_MS), 1);
  assertMatch(agent.process.log(), /carrier-pigeon/);
});

for (
  const [what, flags, pattern] of [
    ["an unknown flag", ["--no-such-flag"], /no-such-flag/],
    ["a bad value", ["--ip-masq=perhaps"], /ip-masq.*perhaps/],
  ] as const
) {
  Deno.test(`${what} ends the agent with code 2 and is named`, async () => {
    await using rig = await Rig.create({ hosts: 1 });
    const agent = await rig.startAgent(rig.host(0), { flags });
    assertEquals(await agent.process.ended(WAIT_MS), 2);
    assertMatch(agent.process.log(), pattern);
  });
}

for (const dataPath of DATA_PATHS) {
  const flags = [`--datapath=${dataPath}`];

  Deno.test(`${dataPath}: an agent waits for etcd, for the configuration and for a right one, says each reason once, and then works`, async (t) => {
    await using rig = await Rig.create({ hosts: 2 });
    const agents: Agent[] = [];
    for (const host of rig.hosts) {
      agents.push(await rig.startAgent(host, { flags }));
    }
    const agent = agents[0]!;

    await t.step("no etcd: the endpoint is named, once", async () => {
      await agent.process.untilLogged(/192\.0\.2\.1:2379/, WAIT_MS);
      await delay(4_000);
      assertEquals(agent.process.exitCode, undefined);
      assertEquals(repeated(agent), []);
      assert(!agent.notifications().includes("READY=1"));
    });

    await t.step(
      "no configuration: the commands that would make one are named",
      async () => {
        await rig.startEtcd();
        await agent.process.untilLogged(
          /etcdctl[^\n]* put[^\n]*\/coreos\.com\/network\/config/,
          30_000,
        );
        await agent.process.untilLogged(/loden config put/, WAIT_MS);
        await delay(3_000);
        assertEquals(repeated(agent), []);
      },
    );

    for (
      const [what, text, pattern] of [
        ["not JSON", "{ Network: 10.1.0.0/16", /JSON/],
        ["a network that is too small", '{"Network":"10.1.0.0/30"}', /\/30/],
        [
          "a subnet length that does not fit",
          '{"Network":"10.1.0.0/16","SubnetLen":16}',
          /SubnetLen/,
        ],
      ] as const
    ) {
      await t.step(`${what}: it says so and waits`, async () => {
        const before = agent.process.log().length;
        await rig.etcd.ctl("put", "/coreos.com/network/config", text);
        await agent.process.until(
          `${pattern} in the log`,
          () => pattern.test(agent.process.log().slice(before)),
          15_000,
        );
        await delay(2_500);
        assertEquals(agent.process.exitCode, undefined);
        assertEquals(repeated(agent), []);
      });
    }

    await t.step(
      "the right configuration: READY on both hosts, and packets cross",
      async () => {
        await rig.publish(CONFIG);
        for (const each of agents) await each.ready(30_000);
        const containers = [];
        for (const [index, each] of agents.entries()) {
          containers.push(
            await rig.host(index).addContainer(await each.bridge()),
          );
        }
        const result = await ping(
          containers[0]!.namespace,
          containers[1]!.address,
          { count: 10, intervalSeconds: 0.05, deadlineSeconds: 5 },
        );
        assertEquals(result.received, result.sent);
      },
    );
  });

  for (
    const [what, iface, remedy] of [
      ["an interface", "eth7", [
        "link add eth7 type veth peer name eth8",
        "address add 192.0.2.77/24 dev eth7",
        "link set eth8 up",
        "link set eth7 up",
      ]],
      ["an address", "192.0.2.78", ["address add 192.0.2.78/24 dev eth0"]],
    ] as const
  ) {
    Deno.test(`${dataPath}: ${what} that is not there yet is named, once, and waited for`, async () => {
      await using rig = await Rig.create({ hosts: 1 });
      await rig.startEtcd();
      await rig.publish(CONFIG);
      const agent = await rig.startAgent(rig.host(0), { iface, flags });
      await agent.process.untilLogged(
        new RegExp(`"level":"(warn|warning|error)".*${iface}`),
        WAIT_MS,
      );
      await delay(2_500);
      assertEquals(repeated(agent), []);
      assert(!agent.notifications().includes("READY=1"));
      await rig.host(0).namespace.ip(remedy);
      await agent.ready(WAIT_MS);
    });
  }

  Deno.test(`${dataPath}: a port that another program has is named`, async () => {
    await using rig = await Rig.create({ hosts: 1 });
    await rig.startEtcd();
    await rig.publish(CONFIG);
    const host = rig.host(0);
    await using _other = await serve(
      rig,
      host.namespace,
      program("udp_capture.ts", "0.0.0.0", "8285"),
    );
    const agent = await rig.startAgent(host, { flags });
    await agent.process.untilLogged(
      /"level":"(warn|warning|error)".*8285/,
      WAIT_MS,
    )
      .catch((error) => {
        // It may as well end: then the line is its last word.
        if (!(error instanceof ProcessEndedError)) throw error;
        assertMatch(agent.process.log(), /8285/);
      });
    assert(!agent.notifications().includes("READY=1"));
  });
}

Deno.test("a host without /dev/net/tun gets an error that says so", async () => {
  await using rig = await Rig.create({ hosts: 1 });
  await rig.startEtcd();
  await rig.publish(CONFIG);
  const agent = await rig.startAgent(rig.host(0), {
    flags: ["--datapath=tun"],
    prepare: ["mount -t tmpfs none /dev/net"],
  });
  await agent.process.untilLogged(
    /"level":"(warn|warning|error)".*\/dev\/net\/tun/,
    WAIT_MS,
  );
  assert(!agent.notifications().includes("READY=1"));
});
