/**
 * What senders are told of packets that go no further, and what the host itself
 * sends into the overlay without meaning it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { ping } from "../../bench/measure/ping.ts";
import type { NetNamespace } from "../rig/namespace.ts";
import {
  eventually,
  type Overlay,
  serve,
  startOverlay,
  statusOf,
} from "./overlay.ts";
import { program } from "./programs/path.ts";

const OVERLAY_MTU = 1472;
const NARROW_MTU = 1300;
const ENCAPSULATION_BYTES = 28;
const ICMP_BYTES = 28;
const NOBODY = "10.1.255.9";

let overlay: Overlay;

Deno.test.beforeAll(async () => {
  overlay = await startOverlay();
});
Deno.test.afterAll(async () => {
  await overlay?.[Symbol.asyncDispose]();
});

const counters = async () =>
  (await statusOf(overlay.node(0))).backend!.counters;
const container = (index: number) => overlay.node(index).container;
const host = (index: number) => overlay.node(index).host;

/** One ping and all that `ping` says about it. */
async function say(from: NetNamespace, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await from.attempt(
    ["ping", "-n", "-c1", "-W2", ...args],
    { env: { LC_ALL: "C" } },
  );
  return stdout + stderr;
}

Deno.test("each agent and each host's kernel take one from the TTL: 64 becomes 60 between containers, 61 to the other host", async () => {
  const { address } = container(1);
  assertMatch(await say(container(0).namespace, address), /ttl=60 /);
  assertMatch(await say(host(0).namespace, address), /ttl=61 /);
});

Deno.test("a container that traces the route sees each kernel and each agent on the way", async () => {
  const { address } = container(1);
  const gateway = (await overlay.node(0).agent.bridge()).bip.split("/")[0]!;
  const hops: string[] = [];
  for (let ttl = 1; ttl <= 5; ttl++) {
    const said = await say(container(0).namespace, "-t", String(ttl), address);
    hops.push(/^(?:From|\d+ bytes from) ([\d.]+)/m.exec(said)?.[1] ?? said);
  }
  const otherSubnet = address.replace(/\d+$/, "0");
  assertEquals(hops, [
    ...[gateway, gateway],
    ...[otherSubnet, otherSubnet],
    address,
  ]);
});

Deno.test("a host that traces the route sees both agents and the other kernel", async () => {
  const { address } = container(1);
  for (const ttl of ["1", "2", "3"]) {
    assertMatch(
      await say(host(0).namespace, "-t", ttl, address),
      /Time to live exceeded/,
      `TTL ${ttl}`,
    );
  }
  assertMatch(await say(host(0).namespace, "-t", "4", address), /ttl=61 /);
});

Deno.test("host and container are told that nobody holds an address", async () => {
  for (const { namespace } of [host(0), container(0)]) {
    assertMatch(
      await say(namespace, NOBODY),
      /Destination (Net|Host) Unreachable/,
    );
  }
});

Deno.test("a path that is narrower than the underlay is told to senders, and what may be cut passes", async () => {
  const [from, to] = [container(0), container(1)];
  const route = `${host(1).address}/32 dev eth0 mtu ${NARROW_MTU}`;
  await host(0).namespace.ip([`route add ${route}`]);
  try {
    const before = await counters();
    const fits = NARROW_MTU - ENCAPSULATION_BYTES - ICMP_BYTES;
    const may = (size: number) =>
      say(from.namespace, "-M", "do", "-s", String(size), to.address);
    assertMatch(await may(fits), /ttl=60 /);
    assertMatch(
      await may(fits + 1),
      new RegExp(`mtu = ${NARROW_MTU - ENCAPSULATION_BYTES}\\b`),
    );
    const after = await counters();
    assertEquals(after["tx.drop.tooBig"]! - before["tx.drop.tooBig"]!, 1);
    // The sender has learned, so that ping itself would refuse now.
    await from.namespace.ip(["route flush cache"]);
    const cut = await ping(from.namespace, to.address, {
      count: 3,
      intervalSeconds: 0.02,
      deadlineSeconds: 5,
      args: ["-M", "dont", "-s", String(OVERLAY_MTU - ICMP_BYTES)],
    });
    assertEquals(cut.received, cut.sent);
    // TCP finds the size by itself.
    await using server = await serve(
      overlay.rig,
      to.namespace,
      program("tcp_digest.ts", "7000"),
    );
    const sent = await from.namespace.run(
      program("tcp_send.ts", to.address, "7000", "5"),
    );
    await server.untilLogged(new RegExp(`^${sent.trim()}$`, "m"), 10_000);
  } finally {
    await host(0).namespace.ip([`route delete ${route}`]);
  }
});

Deno.test("multicast and broadcast of the host into the device are counted, answered to nobody, and hurt nobody", async () => {
  const { namespace } = host(0);
  const before = await counters();
  for (const group of ["224.0.0.251", "239.255.255.250"]) {
    await say(namespace, "-W0.2", "-I", "flannel0", group);
  }
  await say(namespace, "-W0.2", "-b", "-I", "flannel0", "255.255.255.255");
  const after = await eventually(
    "the noise in a counter",
    counters,
    (now) => now["tx.drop.noPeer"]! >= before["tx.drop.noPeer"]! + 3,
  );
  assertEquals(after["icmp.sent"], before["icmp.sent"]);
  const result = await ping(container(0).namespace, container(1).address, {
    count: 3,
    intervalSeconds: 0.02,
    deadlineSeconds: 5,
  });
  assertEquals(result.received, result.sent);
});

Deno.test("a device that was set down and up carries packets again, without a restart", async () => {
  const node = overlay.node(0);
  const { pid } = await statusOf(node);
  await node.host.namespace.ip([
    "link set flannel0 down",
    "link set flannel0 up",
  ]);
  const through = async () =>
    (await say(container(0).namespace, container(1).address))
      .includes("1 received");
  await eventually("an answer", through, (answered) => answered, 15_000);
  assertEquals((await statusOf(node)).pid, pid);
  assert(node.agent.process.log().includes("backend.device-mended"));
});

Deno.test("a device that is deleted is made again by the same agent, and packets flow", async () => {
  const node = overlay.node(0);
  const { pid } = await statusOf(node);
  await node.host.namespace.ip(["link delete flannel0"]);
  const through = async () =>
    (await say(container(0).namespace, container(1).address))
      .includes("1 received");
  await eventually("an answer", through, (answered) => answered, 15_000);
  assertEquals((await statusOf(node)).pid, pid);
});
