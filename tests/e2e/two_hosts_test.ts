/**
 * What a container on one host gets from a container on another.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { INTERNET_ADDRESS } from "../rig/rig.ts";
import type { Container } from "../rig/container.ts";
import { EACH_PAIR_AND_LINK } from "./data_paths.ts";
import { serve } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { program } from "./programs/path.ts";
import {
  assertPings,
  assertTcp,
  assertUdpBursts,
  assertUdpEcho,
} from "./traffic.ts";

const PORT = 7000;
const OVERLAY_MTU = 1472;
const IP_AND_ICMP_BYTES = 28;
/** Below, at and above what one packet of the overlay holds. */
const UDP_SIZES = [1, 2, 63, 512, 1444, 1445, 3000, 9000, 60000];

const suite = new OverlaySuite("two hosts");

/** Both directions between the two containers. */
function directions(): [Container, Container][] {
  const first = suite.node(0).container;
  const second = suite.node(1).container;
  return [[first, second], [second, first]];
}

suite.each(EACH_PAIR_AND_LINK, (test, { linkMode }) => {
  test("pings are answered in both directions, none is lost", async () => {
    for (const [from, to] of directions()) {
      await assertPings(from.namespace, to.address);
    }
  });

  test("UDP payloads of every size come back unchanged, in both directions", async () => {
    for (const [from, to] of directions()) {
      await assertUdpEcho({ rig: suite.rig, from, to }, UDP_SIZES);
    }
  });

  test("UDP super-packets of a container arrive whole and in order among single datagrams, in both directions", async () => {
    for (const [from, to] of directions()) {
      await assertUdpBursts({ rig: suite.rig, from, to }, 60);
    }
  });

  test("large pings are cut into fragments and answered, in both directions", async () => {
    for (const [from, to] of directions()) {
      await assertPings(from.namespace, to.address, ["-s", "20000"]);
    }
  });

  test("100 MB of TCP arrive byte for byte, in both directions", async () => {
    for (const [from, to] of directions()) {
      await assertTcp({ rig: suite.rig, from, to }, 100);
    }
  });

  // What follows does not depend on the cables.
  if (linkMode !== "super") return;

  test("the emitted files say what Docker needs, with flannel's values", async () => {
    for (const { agent } of suite.nodes) {
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

  test("the hosts have different subnets", async () => {
    const [first, second] = await Promise.all(
      suite.nodes.map((node) => node.agent.subnetEnv()),
    );
    assert(first!.FLANNEL_SUBNET !== second!.FLANNEL_SUBNET);
  });

  test("a host reaches a container of the other, and is answered", async () => {
    const { host } = suite.node(0);
    const { container } = suite.node(1);
    await assertPings(host.namespace, container.address);
  });

  test("TCP arrives byte for byte after the cables have lost their offloads, and after they have them again", async () => {
    const [from, to] = directions()[0]!;
    try {
      for (const mode of ["software", "super"] as const) {
        await suite.rig.setLinkMode(mode);
        await assertTcp({ rig: suite.rig, from, to }, 50);
      }
    } finally {
      await suite.rig.setLinkMode("super");
    }
  });

  test("a packet of the overlay's MTU that may not be cut passes; one byte more is answered with the MTU", async () => {
    const { container: to } = suite.node(1);
    const { agent, host } = suite.node(0);
    // A container that does not know of the overlay's MTU, as when Docker was
    // started without --mtu: the host has to tell it.
    const from = await host.addContainer({
      ...await agent.bridge(),
      mtuBytes: 1500,
    });
    await host.namespace.ip(["link set docker0 mtu 1500"]);
    const largest = OVERLAY_MTU - IP_AND_ICMP_BYTES;
    const uncut = ["-M", "do", "-s", String(largest)];
    await assertPings(from.namespace, to.address, uncut);
    const { stdout } = await from.namespace.attempt([
      ...["ping", "-n", "-c1", "-W2", "-M", "do"],
      ...["-s", String(largest + 1), to.address],
    ]);
    assertMatch(stdout, new RegExp(`mtu = ${OVERLAY_MTU}\\b`));
  });

  test("a packet without a peer is answered with unreachable", async () => {
    const { container } = suite.node(0);
    const { stdout } = await container.namespace.attempt(
      ["ping", "-n", "-c1", "-W2", "10.1.255.9"],
    );
    assertMatch(
      stdout,
      /From \S+ icmp_seq=1 Destination (Net|Host) Unreachable/,
    );
  });

  test("a container reaches addresses outside the overlay by its host's address", async () => {
    const { container } = suite.node(0);
    await assertPings(container.namespace, INTERNET_ADDRESS);
  });

  test("a container's address is kept within the overlay", async () => {
    const [from, to] = directions()[0]!;
    await using server = await serve(
      suite.rig,
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
});
