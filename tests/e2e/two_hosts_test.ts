/**
 * What a container on one host gets from a container on another.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { ping } from "../../bench/measure/ping.ts";
import { INTERNET_ADDRESS } from "../rig/rig.ts";
import type { Container } from "../rig/container.ts";
import { type Overlay, serve, startOverlay } from "./overlay.ts";
import { program } from "./programs/path.ts";

const PORT = 7000;
const OVERLAY_MTU = 1472;
const IP_AND_ICMP_BYTES = 28;
const QUICK = { count: 20, intervalSeconds: 0.02, deadlineSeconds: 5 };

let overlay: Overlay;

Deno.test.beforeAll(async () => {
  overlay = await startOverlay();
});
Deno.test.afterAll(async () => {
  await overlay?.[Symbol.asyncDispose]();
});

/** Both directions between the two containers. */
function directions(): [Container, Container][] {
  const first = overlay.node(0).container;
  const second = overlay.node(1).container;
  return [[first, second], [second, first]];
}

Deno.test("the emitted files say what Docker needs, with flannel's values", async () => {
  for (const { agent } of overlay.nodes) {
    const environment = await agent.subnetEnv();
    assertEquals(environment.FLANNEL_NETWORK, "10.1.0.0/16");
    assertMatch(environment.FLANNEL_SUBNET!, /^10\.1\.\d+\.1\/24$/);
    assertEquals(environment.FLANNEL_MTU, String(OVERLAY_MTU));
    assertEquals(environment.FLANNEL_IPMASQ, "true");
    const options = await agent.dockerOpts();
    assertEquals(
      options.DOCKER_OPT_BIP,
      `--bip=${environment.FLANNEL_SUBNET}`,
    );
    assertEquals(options.DOCKER_OPT_MTU, `--mtu=${OVERLAY_MTU}`);
    assertEquals(options.DOCKER_OPT_IPMASQ, "--ip-masq=false");
  }
});

Deno.test("the hosts have different subnets", async () => {
  const [first, second] = await Promise.all(
    overlay.nodes.map((node) => node.agent.subnetEnv()),
  );
  assert(first!.FLANNEL_SUBNET !== second!.FLANNEL_SUBNET);
});

Deno.test("pings are answered in both directions, none is lost", async () => {
  for (const [from, to] of directions()) {
    const result = await ping(from.namespace, to.address, QUICK);
    assertEquals(result.received, result.sent);
  }
});

Deno.test("a host reaches a container of the other, and is answered", async () => {
  const { host } = overlay.node(0);
  const { container } = overlay.node(1);
  const result = await ping(host.namespace, container.address, QUICK);
  assertEquals(result.received, result.sent);
});

Deno.test("UDP payloads of every size come back unchanged, in both directions", async () => {
  const sizes = [
    "1",
    "2",
    "63",
    "512",
    "1444",
    "1445",
    "3000",
    "9000",
    "60000",
  ];
  for (const [from, to] of directions()) {
    await using _server = await serve(
      overlay.rig,
      to.namespace,
      program("udp_echo.ts", String(PORT)),
    );
    const answer = await from.namespace.run(
      program("udp_ask.ts", to.address, String(PORT), ...sizes),
    );
    assertEquals(JSON.parse(answer), {
      asked: sizes.length,
      same: sizes.length,
    });
  }
});

Deno.test("300 MB of TCP arrive byte for byte, in both directions", async () => {
  for (const [from, to] of directions()) {
    await using server = await serve(
      overlay.rig,
      to.namespace,
      program("tcp_digest.ts", String(PORT)),
    );
    const sent = await from.namespace.run(
      program("tcp_send.ts", to.address, String(PORT), "300"),
    );
    await server.untilLogged(new RegExp(`^${sent.trim()}$`, "m"), 10_000);
  }
});

Deno.test("300 MB of TCP arrive byte for byte when one packet per buffer crosses", async () => {
  await overlay.rig.setLinkMode("software");
  try {
    const [from, to] = directions()[0]!;
    await using server = await serve(
      overlay.rig,
      to.namespace,
      program("tcp_digest.ts", String(PORT)),
    );
    const sent = await from.namespace.run(
      program("tcp_send.ts", to.address, String(PORT), "300"),
    );
    await server.untilLogged(new RegExp(`^${sent.trim()}$`, "m"), 10_000);
  } finally {
    await overlay.rig.setLinkMode("super");
  }
});

Deno.test("large pings are cut into fragments and answered", async () => {
  const [from, to] = directions()[0]!;
  const result = await ping(from.namespace, to.address, {
    ...QUICK,
    args: ["-s", "20000"],
  });
  assertEquals(result.received, result.sent);
});

Deno.test("a packet of the overlay's MTU that may not be cut passes; one byte more is answered with the MTU", async () => {
  const { container: to } = overlay.node(1);
  const { host } = overlay.node(0);
  // A container that does not know of the overlay's MTU, as when Docker was
  // started without --mtu: the host has to tell it.
  const from = await host.addContainer({
    ...await overlay.node(0).agent.bridge(),
    mtuBytes: 1500,
  });
  await host.namespace.ip(["link set docker0 mtu 1500"]);
  const largest = OVERLAY_MTU - IP_AND_ICMP_BYTES;
  const passes = await ping(from.namespace, to.address, {
    ...QUICK,
    args: ["-M", "do", "-s", String(largest)],
  });
  assertEquals(passes.received, passes.sent);
  const { stdout } = await from.namespace.attempt([
    ...["ping", "-n", "-c1", "-W2", "-M", "do"],
    ...["-s", String(largest + 1), to.address],
  ]);
  assertMatch(stdout, new RegExp(`mtu = ${OVERLAY_MTU}\\b`));
});

Deno.test("a packet without a peer is answered with unreachable", async () => {
  const { container } = overlay.node(0);
  const { stdout } = await container.namespace.attempt(
    ["ping", "-n", "-c1", "-W2", "10.1.255.9"],
  );
  assertMatch(stdout, /From \S+ icmp_seq=1 Destination (Net|Host) Unreachable/);
});

Deno.test("a packet whose TTL ends on the way is answered with time exceeded", async () => {
  const [from, to] = directions()[0]!;
  // 1 ends in the host's kernel, 2 in the agent that sends, 3 in the one that
  // receives; the container is the next.
  for (const ttl of [1, 2, 3]) {
    const { stdout } = await from.namespace.attempt(
      ["ping", "-n", "-c1", "-W2", "-t", String(ttl), to.address],
    );
    assertMatch(stdout, /Time to live exceeded/, `TTL ${ttl}`);
  }
});

Deno.test("a container reaches addresses outside the overlay by its host's address", async () => {
  const { container } = overlay.node(0);
  const result = await ping(container.namespace, INTERNET_ADDRESS, QUICK);
  assertEquals(result.received, result.sent);
});

Deno.test("a container's address is kept within the overlay", async () => {
  const [from, to] = directions()[0]!;
  await using server = await serve(
    overlay.rig,
    to.namespace,
    program("udp_capture.ts", to.address, String(PORT)),
  );
  await from.namespace.run(
    program("udp_inject.ts", to.address, String(PORT)),
    { stdin: "68656c6c6f\n" },
  );
  const match = await server.untilLogged(/^([\d.]+):\d+ 68656c6c6f$/m, 5_000);
  assertEquals(match[1], from.address);
});
