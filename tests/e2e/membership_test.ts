/**
 * Hosts that come, go, and come back.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { ping } from "../../bench/measure/ping.ts";
import {
  eventually,
  join,
  type Node,
  type Overlay,
  startOverlay,
  statusOf,
  SUBNETS,
} from "./overlay.ts";

const QUICK = { count: 20, intervalSeconds: 0.02, deadlineSeconds: 5 };

let overlay: Overlay;
let third: Node;

Deno.test.beforeAll(async () => {
  // Without grace, a host that leaves is no peer at once.
  overlay = await startOverlay({
    hosts: 3,
    agents: 2,
    flags: ["--peer-grace=0"],
  });
});
Deno.test.afterAll(async () => {
  await overlay?.[Symbol.asyncDispose]();
});

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

Deno.test("a third host joins and all reach each other", async () => {
  third = await join(overlay.rig, overlay.rig.host(2), {
    flags: ["--peer-grace=0"],
  });
  const nodes = [...overlay.nodes, third];
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

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  Deno.test(`an agent that ends by ${signal} takes the same subnet again`, async () => {
    const subnet = await subnetOf(third);
    third.agent.process.kill(signal);
    await third.agent.process.ended(5_000);
    // The file alone must not be what it remembers by.
    await Deno.remove(third.agent.files.subnetFile);
    third.agent[Symbol.dispose]();
    third.agent = await overlay.rig.startAgent(third.host, {
      flags: ["--peer-grace=0"],
    });
    await third.agent.ready();
    assertEquals(await subnetOf(third), subnet);
    await eventually(
      "pings to the restarted host",
      () =>
        ping(
          overlay.node(0).container.namespace,
          third.container.address,
          QUICK,
        ),
      (result) => result.received === result.sent,
    );
  });
}

Deno.test("a host that lost all its files takes its subnet again, by its address", async () => {
  const subnet = await subnetOf(third);
  assertEquals(await third.agent.stop(), 0);
  await Deno.remove(third.agent.files.subnetFile);
  await Deno.remove(third.agent.files.stateDirectory, { recursive: true });
  third.agent[Symbol.dispose]();
  third.agent = await overlay.rig.startAgent(third.host, {
    flags: ["--peer-grace=0"],
  });
  await third.agent.ready();
  assertEquals(await subnetOf(third), subnet);
});

Deno.test("a lease that somebody deletes is put back, and no packet is lost", async () => {
  const key = `${SUBNETS}/${await leaseKeyOf(overlay.node(1))}`;
  const { etcd } = overlay.rig;
  const before = await etcd.ctl("get", key);
  assert(before.includes(key));
  const pings = ping(
    overlay.node(1).container.namespace,
    overlay.node(0).host.address,
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
  assertEquals(await leaseKeyOf(overlay.node(1)), key.split("/").at(-1));
});

Deno.test("a host whose lease is gone is no peer any more, and packets to it are refused", async () => {
  const key = `${SUBNETS}/${await leaseKeyOf(third)}`;
  assertEquals(await third.agent.stop(), 0);
  await overlay.rig.etcd.ctl("del", key);
  for (const node of overlay.nodes) {
    await eventually(
      "one peer only",
      () => peersOf(node),
      (peers) => peers.length === 1,
    );
  }
  const { stdout } = await overlay.node(0).container.namespace.attempt(
    ["ping", "-n", "-c1", "-W2", third.container.address],
  );
  assertMatch(stdout, /Destination (Net|Host) Unreachable/);
});
