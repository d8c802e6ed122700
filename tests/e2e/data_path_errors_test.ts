/**
 * What senders are told of packets that go no further, and what the host itself
 * sends into the overlay without meaning it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { NetNamespace } from "../rig/namespace.ts";
import { EACH_PAIR } from "./data_paths.ts";
import { eventually, statusOf } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { assertPings, assertTcp, untilAnswered } from "./traffic.ts";

const OVERLAY_MTU = 1472;
const NARROW_MTU = 1300;
const ENCAPSULATION_BYTES = 28;
const ICMP_BYTES = 28;
const NOBODY = "10.1.255.9";
/** What hosts send packets with. */
const TTL = 64;

const suite = new OverlaySuite("data path errors", {
  // Every packet is counted.
  flags: ["--probe-port=0"],
});

const counters = async () => (await statusOf(suite.node(0))).backend!.counters;
const container = (index: number) => suite.node(index).container;
const host = (index: number) => suite.node(index).host;

/** One ping and all that `ping` says about it. */
async function say(from: NetNamespace, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await from.attempt(
    ["ping", "-n", "-c1", "-W2", ...args],
  );
  return stdout + stderr;
}

/** What both ends of the overlay take from the TTL of a packet. */
function ttlOfOverlay(): number {
  return suite.node(0).traits.ttlTaken + suite.node(1).traits.ttlTaken;
}

suite.each(EACH_PAIR, (test) => {
  test("each host's kernel takes one from the TTL, and each data path what it is known to take", async () => {
    const { address } = container(1);
    const twoKernels = TTL - 2 - ttlOfOverlay();
    assertMatch(
      await say(container(0).namespace, address),
      new RegExp(`ttl=${twoKernels} `),
    );
    const oneKernel = TTL - 1 - ttlOfOverlay();
    assertMatch(
      await say(host(0).namespace, address),
      new RegExp(`ttl=${oneKernel} `),
    );
  });

  test("a container that traces the route sees each kernel, and each data path that takes from the TTL", async () => {
    const { address } = container(1);
    const gateway = (await suite.node(0).agent.bridge()).bip.split("/")[0]!;
    const otherSubnet = address.replace(/\d+$/, "0");
    const expected = [
      ...Array(1 + suite.node(0).traits.ttlTaken).fill(gateway),
      ...Array(1 + suite.node(1).traits.ttlTaken).fill(otherSubnet),
      address,
    ];
    const hops: string[] = [];
    for (const ttl of expected.keys()) {
      const said = await say(
        container(0).namespace,
        "-t",
        String(ttl + 1),
        address,
      );
      hops.push(/^(?:From|\d+ bytes from) ([\d.]+)/m.exec(said)?.[1] ?? said);
    }
    assertEquals(hops, expected);
  });

  test("a host that traces the route sees the other kernel, and each data path that takes from the TTL", async () => {
    const { address } = container(1);
    const reaches = 2 + ttlOfOverlay();
    for (let ttl = 1; ttl < reaches; ttl++) {
      assertMatch(
        await say(host(0).namespace, "-t", String(ttl), address),
        /Time to live exceeded/,
        `TTL ${ttl}`,
      );
    }
    assertMatch(
      await say(host(0).namespace, "-t", String(reaches), address),
      /1 received/,
    );
  });

  test("host and container get an ICMP error for an address without a lease", async () => {
    for (const { namespace } of [host(0), container(0)]) {
      assertMatch(
        await say(namespace, NOBODY),
        /Destination (Net|Host) Unreachable|No route to host/,
      );
    }
  });

  test("senders learn of a path narrower than the underlay, and packets without DF pass", async () => {
    const [from, to] = [container(0), container(1)];
    const route = `${host(1).address}/32 dev eth0 mtu ${NARROW_MTU}`;
    const before = await counters();
    const fits = NARROW_MTU - ENCAPSULATION_BYTES - ICMP_BYTES;
    const may = (size: number) =>
      say(from.namespace, "-M", "do", "-s", String(size), to.address);
    const told = new RegExp(`mtu = ${NARROW_MTU - ENCAPSULATION_BYTES}\\b`);
    await host(0).namespace.ip([`route add ${route}`]);
    try {
      // A path whose host answers has to hear of the route first.
      await eventually(
        "the path's MTU",
        () => may(fits + 1),
        (said) => told.test(said),
      );
      assertMatch(await may(fits), /1 received/);
      if (suite.node(0).traits.answersItself) {
        const after = await counters();
        assertEquals(after["tx.drop.tooBig"]! - before["tx.drop.tooBig"]!, 1);
      }
      // The sender has learned, so that ping itself would refuse now.
      await from.namespace.ip(["route flush cache"]);
      await assertPings(from.namespace, to.address, [
        ...["-M", "dont", "-s", String(OVERLAY_MTU - ICMP_BYTES)],
      ]);
      // TCP finds the size by itself.
      await assertTcp({ rig: suite.rig, from, to }, 5);
    } finally {
      await host(0).namespace.ip([`route delete ${route}`]);
    }
    await eventually(
      "the whole MTU again",
      async () => {
        // A try that came before the host knew has taught the sender the narrow
        // path once more, and ping would then refuse by itself for minutes.
        await from.namespace.ip(["route flush cache"]);
        return await may(OVERLAY_MTU - ICMP_BYTES);
      },
      (said) => said.includes("1 received"),
    );
  });

  test("the host's firewall is asked about what comes out of the overlay, and about its outer packets where the host sees them", async () => {
    const { namespace } = host(1);
    const [from, to] = [container(0).namespace, container(1).address];
    const rule = async (chain: string, ...match: string[]) => {
      const change = (how: string) =>
        namespace.run(["iptables", how, chain, ...match, "-j", "DROP"]);
      await change("-I");
      try {
        return (await say(from, "-W1", to)).includes(" 1 received");
      } finally {
        await change("-D");
      }
    };
    assertEquals(await rule("FORWARD", "-i", "flannel0"), false);
    assertEquals(await rule("FORWARD", "-o", "flannel0"), false);
    assertEquals(
      await rule("INPUT", "-p", "udp", "--dport", "8285"),
      !suite.node(1).traits.outerCrossesFirewall,
    );
    assertEquals(
      await rule("OUTPUT", "-p", "udp", "--dport", "8285"),
      !suite.node(1).traits.outerCrossesFirewall,
    );
    await assertPings(from, to);
  });

  test("packets pass hosts that filter by the strict reverse path", async () => {
    const set = (value: string) =>
      Promise.all(
        suite.nodes.map(({ host: { namespace } }) =>
          namespace.sysctl(Object.fromEntries(
            ["all", "eth0", "flannel0", "docker0"].map((device) => [
              `net/ipv4/conf/${device}/rp_filter`,
              value,
            ]),
          ))
        ),
      );
    await set("1");
    try {
      await assertPings(container(0).namespace, container(1).address);
    } finally {
      await set("2");
    }
  });

  test("multicast and broadcast of the host into the device are counted, not answered, and do no harm", async () => {
    const { namespace } = host(0);
    const before = await counters();
    for (const group of ["224.0.0.251", "239.255.255.250"]) {
      await say(namespace, "-W0.2", "-I", "flannel0", group);
    }
    await say(namespace, "-W0.2", "-b", "-I", "flannel0", "255.255.255.255");
    const after = await eventually(
      "the noise in a counter",
      counters,
      (now) =>
        (now["tx.drop.noPeer"] ?? 0) >= (before["tx.drop.noPeer"] ?? 0) + 3,
    );
    assertEquals(after["icmp.sent"], before["icmp.sent"]);
    await assertPings(container(0).namespace, container(1).address);
  });

  test("a device that was set down and up carries packets again, without a restart", async () => {
    const node = suite.node(0);
    const { pid } = await statusOf(node);
    await node.host.namespace.ip([
      "link set flannel0 down",
      "link set flannel0 up",
    ]);
    await untilAnswered(container(0).namespace, container(1).address);
    assertEquals((await statusOf(node)).pid, pid);
    assert(node.agent.process.log().includes("backend.device-mended"));
  });

  test("a device that is deleted is made again by the same agent, and packets flow", async () => {
    const node = suite.node(0);
    const { pid } = await statusOf(node);
    await node.host.namespace.ip(["link delete flannel0"]);
    await untilAnswered(container(0).namespace, container(1).address);
    assertEquals((await statusOf(node)).pid, pid);
  });
});
