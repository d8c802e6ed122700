/**
 * Two hosts whose agents do without what newer kernels have: each feature
 * switched off by itself, and all at once.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { ping } from "../../bench/measure/ping.ts";
import { UDP_FEATURES } from "../../backend/udp/features.ts";
import {
  type Node,
  type Overlay,
  serve,
  startOverlay,
  statusOf,
} from "./overlay.ts";
import { program } from "./programs/path.ts";

const TCP_PORT = 7000;
const UDP_PORT = 7001;
const FEATURES = Object.keys(UDP_FEATURES);

let overlay: Overlay;

Deno.test.beforeAll(async () => {
  overlay = await startOverlay();
  const { container } = overlay.node(1);
  await serve(
    overlay.rig,
    container.namespace,
    program("udp_echo.ts", String(UDP_PORT)),
  );
});
Deno.test.afterAll(async () => {
  await overlay?.[Symbol.asyncDispose]();
});

/** Starts both agents anew; the containers stay where they are. */
async function restartWithout(features: readonly string[]): Promise<void> {
  await Promise.all(overlay.nodes.map(async (node: Node) => {
    await node.agent.stop();
    node.agent[Symbol.dispose]();
    node.agent = await overlay.rig.startAgent(node.host, {
      flags: features.length > 0
        ? [`--disable-feature=${features.join(",")}`]
        : [],
    });
    await node.agent.ready();
  }));
}

async function proveThatTrafficPasses(): Promise<void> {
  const from = overlay.node(0).container;
  const to = overlay.node(1).container;
  const pings = await ping(from.namespace, to.address, {
    count: 5,
    intervalSeconds: 0.02,
    deadlineSeconds: 5,
  });
  assertEquals(pings.received, pings.sent);
  await using server = await serve(
    overlay.rig,
    to.namespace,
    program("tcp_digest.ts", String(TCP_PORT)),
  );
  const sent = await from.namespace.run(
    program("tcp_send.ts", to.address, String(TCP_PORT), "20"),
  );
  await server.untilLogged(new RegExp(`^${sent.trim()}$`, "m"), 10_000);
  const sizes = ["1", "1444", "9000", "60000"];
  const answer = await from.namespace.run(
    program("udp_ask.ts", to.address, String(UDP_PORT), ...sizes),
  );
  assertEquals(JSON.parse(answer), { asked: sizes.length, same: sizes.length });
}

/** What the second host has counted. */
const counters = async () =>
  (await statusOf(overlay.node(1))).backend!.counters;

for (const feature of FEATURES) {
  Deno.test(`pings, TCP and UDP pass without ${feature}`, async () => {
    await restartWithout([feature]);
    await proveThatTrafficPasses();
  });
}

Deno.test("pings, TCP and UDP pass without any feature, one packet at a time", async () => {
  await restartWithout(FEATURES);
  await proveThatTrafficPasses();
  const { "tx.superPackets": tx, "rx.superPackets": rx, ...all } =
    await counters();
  assertEquals([tx, rx], [0, 0]);
  assertEquals(all["tx.sends"], all["tx.packets"]);
});
