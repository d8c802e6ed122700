/**
 * An attacker with a shell in a container that has NET_RAW, one on the underlay
 * without a lease, and one with an unprivileged account on a host: none of them
 * poses as another host.
 *
 * The first two hosts run agents. The third is the stranger. A fourth holds a
 * lease and is silent: it is the one whose name is used.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { internetChecksum } from "../../net/checksum.ts";
import { loden } from "../rig/agent.ts";
import type { Daemon } from "../rig/daemon.ts";
import type { NetNamespace } from "../rig/namespace.ts";
import { type InnerPacket, innerPacket } from "../support/inner_packet.ts";
import {
  ethernetFrame,
  type FrameOptions,
  type OuterPacket,
  outerPacket,
} from "../support/outer_packet.ts";
import { virtioHeader } from "../support/virtio_header.ts";
import { EACH_PATH } from "./data_paths.ts";
import { eventually, type Node, serve, statusOf, SUBNETS } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { program } from "./programs/path.ts";

const OVERLAY_PORT = 8285;
const ICMP = 1;
const CONTAINER_PORT = 7000;
const SILENT = {
  host: "192.0.2.99",
  subnet: "10.1.200.0",
  container: "10.1.200.5",
};
const STRANGER = 2;
const FORGED_MTU_BYTES = 600;
const VERIFIED_MS = 2_500;
const ARRIVAL_MS = 5_000;
/** nobody */
const UNPRIVILEGED = "65534";

/** Print what reaches the containers of the first and of the second host. */
let captures: Daemon[];

const suite = new OverlaySuite("attacks", {
  hosts: 3,
  agents: 2,
  prepare: async ({ nodes, rig }) => {
    captures = await Promise.all(nodes.map(({ container }) =>
      serve(
        rig,
        container.namespace,
        program("udp_capture.ts", "0.0.0.0", String(CONTAINER_PORT)),
      )
    ));
    await rig.etcd.ctl(
      "put",
      `${SUBNETS}/${SILENT.subnet}-24`,
      JSON.stringify({ PublicIP: SILENT.host, PublicIPv6: null }),
    );
    await eventually(
      "the containers' bridge in the first host's rules",
      () => antiSpoofing(nodes[0]!),
      ({ rules }) => rules.join().includes("docker0"),
    );
    for (const node of nodes) {
      await eventually(
        "the silent host as a peer",
        () => statusOf(node),
        ({ peers }) => peers.some(({ publicIp }) => publicIp === SILENT.host),
      );
    }
  },
});

let words = 0;
/** Eight bytes that no other packet carries. */
function newWords(): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(
    0,
    BigInt(++words) | 0x617474n << 40n,
  );
  return bytes;
}

/** A packet of the silent host's container to one of ours. */
function inner(
  to: number,
  payload: Uint8Array,
  changes: Partial<InnerPacket> = {},
): Uint8Array {
  return innerPacket({
    source: SILENT.container,
    destination: suite.node(to).container.address,
    port: CONTAINER_PORT,
    payload,
    ...changes,
  });
}

/** It in a datagram of the silent host. */
function outer(
  to: number,
  payload: Uint8Array,
  changes: Partial<OuterPacket> = {},
): Uint8Array {
  return outerPacket({
    source: SILENT.host,
    destination: suite.rig.host(to).address,
    port: OVERLAY_PORT,
    payload: inner(to, payload),
    ...changes,
  });
}

/** RFC 792: destination unreachable, fragmentation needed; RFC 1191: the MTU. */
function fragmentationNeeded({ from, to, about, mtuBytes }: {
  readonly from: string;
  readonly to: string;
  readonly about: Pick<OuterPacket, "source" | "destination">;
  readonly mtuBytes: number;
}): Uint8Array {
  const quoted = outerPacket({
    ...about,
    port: OVERLAY_PORT,
    payload: new Uint8Array(),
    totalLength: 1_500,
  });
  const message = new Uint8Array([
    ...[3, 4, 0, 0, 0, 0, mtuBytes >> 8, mtuBytes & 0xff],
    ...quoted,
  ]);
  const sum = internetChecksum(message);
  message.set([sum >> 8, sum & 0xff], 2);
  // An IPv4 packet whose UDP header is the message's first eight bytes.
  const packet = outerPacket({
    source: from,
    destination: to,
    port: 0,
    protocol: ICMP,
    payload: message.subarray(8),
  });
  packet.set(message, 20);
  return packet;
}

/** Sends packets out of a namespace's `eth0`, to the gateway's or another MAC. */
async function send(
  from: NetNamespace,
  to: string,
  packets: readonly Uint8Array[],
  changes: Partial<FrameOptions> = {},
): Promise<void> {
  const macs = {
    sourceMac: await macOf(from, "eth0"),
    destinationMac: to,
  };
  const frames = packets.map((packet) => [
    ...virtioHeader({}),
    ...ethernetFrame(packet, { ...macs, ...changes }),
  ]);
  await from.run(program("frame_inject.ts", "eth0"), {
    stdin: frames.map((bytes) => new Uint8Array(bytes).toHex()).join("\n") +
      "\n",
  });
}

async function macOf(
  namespace: NetNamespace,
  device: string,
): Promise<string> {
  const path = `/sys/class/net/${device}/address`;
  return (await namespace.run(["cat", path])).trim();
}

/** From the first host's container, to its bridge. */
async function sendFromContainer(...packets: Uint8Array[]): Promise<void> {
  const { container, host } = suite.node(0);
  const bridge = await macOf(host.namespace, "docker0");
  await send(container.namespace, bridge, packets);
}

const arrivals = (at: number, payload: Uint8Array) =>
  captures[at]!.log().split(payload.toHex()).length - 1;

/**
 * Waits until a good packet has come the same way, behind the others, and looks
 * that nothing else has.
 */
async function nothingArrives(
  at: number,
  payloads: readonly Uint8Array[],
): Promise<void> {
  const good = newWords();
  const { container, host } = suite.node(1 - at);
  const bridge = await macOf(host.namespace, "docker0");
  const source = container.address;
  await send(container.namespace, bridge, [inner(at, good, { source })]);
  await captures[at]!.until(
    "the good packet in the container",
    () => arrivals(at, good) === 1,
    ARRIVAL_MS,
  );
  assertEquals(
    payloads.map((payload) => arrivals(at, payload)),
    payloads.map(() => 0),
  );
}

async function counter(at: number, name: string): Promise<number> {
  return (await statusOf(suite.node(at))).backend!.counters[name]!;
}

/** What the agent of the first host keeps and lists. */
async function antiSpoofing(
  { agent, host }: Node = suite.node(0),
): Promise<{ state: string; rules: string[] }> {
  const { stdout } = await loden(host.namespace, [
    ...["firewall", "show", "--json"],
    `--run-dir=${agent.files.runDirectory}`,
  ]);
  const { sets } = JSON.parse(stdout);
  return sets.find((set: { purpose: string; isChosen: boolean }) =>
    set.purpose === "anti-spoofing" && set.isChosen
  );
}

suite.each(EACH_PATH, (test, { traits }) => {
  test("the rules against spoofing are listed, and name the underlay and the containers' bridge", async () => {
    const { rules, state } = await antiSpoofing();
    assertEquals(state, "in-place");
    assertMatch(rules.join("\n"), /eth0[^]*8285/);
  });

  test("a container cannot speak as another host, to a third one or to its own", async () => {
    for (const to of [1, 0]) {
      const payload = newWords();
      await sendFromContainer(outer(to, payload));
      await nothingArrives(to, [payload]);
    }
  });

  test("a container cannot speak as its own host either, nor in fragments or from another port", async () => {
    const payloads = [newWords(), newWords()];
    const own = { source: suite.node(0).container.address };
    await sendFromContainer(
      outer(1, payloads[0]!, {
        ...own,
        payload: inner(1, payloads[0]!, own),
      }),
      outer(1, payloads[1]!, { sourcePort: 40_000 }),
    );
    await nothingArrives(1, payloads);
  });

  test("a container cannot send into the overlay from another host's addresses, from its own host's, or from outside", async () => {
    const own = suite.node(0).container.address.split(".").slice(0, 3);
    const sources = [
      SILENT.container,
      suite.node(1).container.address.replace(/\d+$/, "77"),
      [...own, 0].join("."),
      [...own, 1].join("."),
      "203.0.113.9",
    ];
    const payloads = sources.map(() => newWords());
    await sendFromContainer(
      ...sources.map((source, at) => inner(1, payloads[at]!, { source })),
    );
    await nothingArrives(1, payloads);
  });

  test("rules that are flushed are back, and keep the container silent again", async () => {
    const { host } = suite.node(0);
    const before = await antiSpoofing();
    await host.namespace.run(["iptables", "-t", "mangle", "-F"]);
    await eventually(
      "the same rules",
      () => antiSpoofing(),
      ({ rules, state }) =>
        state === "in-place" &&
        rules.toSorted().join() === before.rules.toSorted().join(),
    );
    const payload = newWords();
    await sendFromContainer(outer(1, payload));
    await nothingArrives(1, [payload]);
  });

  test("a stranger on the underlay is dropped under its own name", async () => {
    const before = await counter(1, "rx.drop.unknownSender");
    const { address, namespace } = suite.rig.host(STRANGER);
    const payload = newWords();
    await send(namespace, await macOf(suite.rig.host(1).namespace, "eth0"), [
      outer(1, payload, { source: address }),
    ]);
    await eventually(
      "the packet in a counter",
      () => counter(1, "rx.drop.unknownSender"),
      (now) => now === before + 1,
    );
    assertEquals(arrivals(1, payload), 0);
  });

  test("forged words of a router about the way to a peer do not make it narrow", async () => {
    const { address: from, namespace } = suite.rig.host(STRANGER);
    const [own, peer] = [suite.rig.host(0), suite.rig.host(1)];
    const mac = await macOf(own.namespace, "eth0");
    await send(
      namespace,
      mac,
      Array.from({ length: 200 }, () =>
        fragmentationNeeded({
          from,
          to: own.address,
          about: { source: own.address, destination: peer.address },
          mtuBytes: FORGED_MTU_BYTES,
        })),
    );
    // As long as it takes to ask the peer, and the agent to look again.
    await new Promise((resolve) => setTimeout(resolve, VERIFIED_MS));
    const { container } = suite.node(0);
    const { address } = suite.node(1).container;
    const { exitCode, stdout } = await container.namespace.attempt([
      ...["ping", "-c", "3", "-i", "0.2", "-W", "2", "-M", "do"],
      // User space is told by the kernel, which takes it for as small as this.
      ...["-s", traits.answersItself ? "500" : "1400", address],
    ]);
    assertEquals(exitCode, 0, stdout);
  });

  test("an unprivileged user of a host cannot speak as another one's container", async () => {
    const before = await counter(0, "rx.drop.wrongSource");
    const payload = newWords();
    const { host } = suite.node(1);
    const bytes = [...inner(0, payload)]
      .map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
    await host.namespace.run([
      ...["setpriv", `--reuid=${UNPRIVILEGED}`, "--clear-groups"],
      ...["--inh-caps=-all", "bash", "-c"],
      // One datagram: printf alone would send one for each line.
      `printf '${bytes}' | dd bs=64k iflag=fullblock status=none > ` +
      `/dev/udp/${suite.rig.host(0).address}/${OVERLAY_PORT}`,
    ]);
    await eventually(
      "the packet in a counter",
      () => counter(0, "rx.drop.wrongSource"),
      (now) => now === before + 1,
    );
    assertEquals(arrivals(0, payload), 0);
  });

  test("a cleanup removes the rules", async () => {
    const { agent, host } = suite.node(0);
    await agent.stop();
    const { exitCode, stdout } = await loden(host.namespace, [
      ...["cleanup", `--run-dir=${agent.files.runDirectory}`],
    ]);
    assertEquals(exitCode, 0);
    assert(stdout.includes("LODEN-SPOOF"), stdout);
    const rules = await host.namespace.run(["iptables-save"]);
    assert(!rules.includes("LODEN-SPOOF"), rules);
  });
});
