/**
 * What arrives at the overlay's UDP port without being an honest peer's packet.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { StatusSnapshot } from "../../agent/status/status_snapshot.ts";
import { ping } from "../../bench/measure/ping.ts";
import { droppedPackets } from "../rig/counters.ts";
import type { Daemon } from "../rig/daemon.ts";
import { type InnerPacket, innerPacket } from "../support/inner_packet.ts";
import { EACH_RECEIVER } from "./data_paths.ts";
import { Injector } from "./injector.ts";
import { eventually, serve, statusOf, SUBNETS } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { program } from "./programs/path.ts";

const OVERLAY_PORT = 8285;
const CONTAINER_PORT = 7000;
/** A subnet that the third host holds, as far as etcd knows. */
const THIRD_SUBNET = "10.1.200.0-24";
const THIRD_CONTAINER = "10.1.200.5";
const STORM = 250_000;

/** Prints what reaches the first host's container. */
let capture: Daemon;
/** From the third host to the first host's overlay port. */
let injector: Injector;

const suite = new OverlaySuite("hostile packets", {
  hosts: 3,
  agents: 2,
  // Every packet is counted.
  flags: ["--probe-port=0"],
  prepare: async ({ node, rig }) => {
    capture = await serve(
      rig,
      node(0).container.namespace,
      program("udp_capture.ts", "0.0.0.0", String(CONTAINER_PORT)),
    );
    injector = Injector.datagrams(
      rig.host(2).namespace,
      rig.host(0).address,
      OVERLAY_PORT,
    );
  },
});

/** A packet of the third host's container to the first one's. */
function packet(changes: Partial<InnerPacket> = {}): Uint8Array {
  return innerPacket({
    source: THIRD_CONTAINER,
    destination: suite.node(0).container.address,
    port: CONTAINER_PORT,
    payload: new Uint8Array([1, 2, 3, 4]),
    ...changes,
  });
}

/** Sends datagrams from the third host to the first host's overlay port. */
async function inject(...datagrams: Uint8Array[]): Promise<void> {
  await injector.send(datagrams);
}

/** Makes a host the holder of the third subnet, if it is not. */
async function giveSubnet(publicIp: string): Promise<void> {
  const isHolder = ({ peers }: StatusSnapshot) =>
    peers.some((peer) =>
      peer.subnet === "10.1.200.0/24" && peer.publicIp === publicIp
    );
  if (isHolder(await statusOf(suite.node(0)))) return;
  await suite.rig.etcd.ctl(
    "put",
    `${SUBNETS}/${THIRD_SUBNET}`,
    JSON.stringify({ PublicIP: publicIp, PublicIPv6: null }),
  );
  await eventually(
    `${publicIp} as the holder`,
    () => statusOf(suite.node(0)),
    isHolder,
  );
}

async function counters(): Promise<Record<string, number>> {
  return (await statusOf(suite.node(0))).backend!.counters;
}

/** Waits until the counter has grown by `by` since `before`. */
async function grown(
  name: string,
  before: Record<string, number>,
  by: number,
): Promise<void> {
  const after = await eventually(
    `${name} to grow`,
    counters,
    (now) => (now[name] ?? 0) >= (before[name] ?? 0) + by,
  );
  assertEquals((after[name] ?? 0) - (before[name] ?? 0), by, name);
}

function arrived(): number {
  return capture.log().split("\n").filter((line) => line.includes(":")).length;
}

const truncated = () => packet().subarray(0, 30);
const trailing = () => new Uint8Array([...packet(), 0, 0, 0]);
const ipv6 = () => {
  const bytes = new Uint8Array(48);
  bytes[0] = 0x60;
  bytes[7] = 64;
  return bytes;
};

/** What is wrong, the datagram, and the counter that must say so. */
const BAD: readonly [string, () => Uint8Array, string][] = [
  ["an empty datagram", () => new Uint8Array(), "rx.drop.empty"],
  ["one byte", () => new Uint8Array([0x45]), "rx.drop.short"],
  ["19 bytes", () => packet().subarray(0, 19), "rx.drop.short"],
  ["a truncated packet", truncated, "rx.drop.badLength"],
  ["bytes after the packet", trailing, "rx.drop.badLength"],
  ["an IPv6 packet", ipv6, "rx.drop.notIpv4"],
  ["version 0", () => packet({ version: 0 }), "rx.drop.notIpv4"],
  [
    "a header of 16 bytes",
    () => packet({ headerWords: 4 }),
    "rx.drop.badHeader",
  ],
  [
    "a header longer than the packet",
    () => packet({ headerWords: 15 }),
    "rx.drop.badHeader",
  ],
  [
    "a total length below the header's",
    () => packet({ totalLength: 19 }),
    "rx.drop.badLength",
  ],
  [
    "a total length of 65535",
    () => packet({ totalLength: 65_535 }),
    "rx.drop.badLength",
  ],
  [
    "a wrong header checksum",
    () => packet({ badChecksum: true }),
    "rx.drop.badChecksum",
  ],
  [
    "a source in another host's subnet",
    () => packet({ source: suite.node(1).container.address }),
    "rx.drop.wrongSource",
  ],
  [
    "a source outside the overlay",
    () => packet({ source: "203.0.113.5" }),
    "rx.drop.wrongSource",
  ],
  [
    "a destination in another host's subnet",
    () => packet({ destination: suite.node(1).container.address }),
    "rx.drop.wrongDestination",
  ],
  [
    "the host's own address as the destination",
    () => packet({ destination: suite.node(0).host.address }),
    "rx.drop.wrongDestination",
  ],
];

suite.each(EACH_RECEIVER, (test, { traits }) => {
  test("a well-formed packet of a host without a lease is dropped and counted", async () => {
    const before = await counters();
    const arrivedBefore = arrived();
    await inject(packet());
    await grown("rx.drop.unknownSender", before, 1);
    assertEquals(arrived(), arrivedBefore);
  });

  test("the same packet arrives once the host holds a lease", async () => {
    await giveSubnet(suite.rig.host(2).address);
    const arrivedBefore = arrived();
    await inject(packet());
    await capture.until(
      "the packet in the container",
      () => arrived() === arrivedBefore + 1,
      5_000,
    );
  });

  for (const [what, make, counter] of BAD) {
    test(`${what}, from a peer, is dropped and counted as ${counter}`, async () => {
      await giveSubnet(suite.rig.host(2).address);
      const before = await counters();
      const arrivedBefore = arrived();
      await inject(make());
      await grown(counter, before, 1);
      assertEquals(arrived(), arrivedBefore);
    });
  }

  for (const ttl of [0, 1]) {
    test(`a packet with TTL ${ttl}, from a peer, goes no further than the host, and is counted`, async () => {
      await giveSubnet(suite.rig.host(2).address);
      const read = traits.answersItself
        ? async () => (await counters())["rx.drop.ttl"]!
        : () => kernelCounter("Ip", "InHdrErrors");
      const before = await read();
      const arrivedBefore = arrived();
      await inject(packet({ ttl }));
      await eventually("the packet in a counter", read, (now) => now > before);
      assertEquals(await read() - before, 1);
      assertEquals(arrived(), arrivedBefore);
    });
  }

  test("a subnet that moves to another host: the new holder's packets arrive, the former one's are dropped and counted", async () => {
    const former = suite.rig.host(2);
    await former.namespace.ip(["address add 192.0.2.113/24 dev eth0"]);
    await giveSubnet("192.0.2.113");
    const before = await counters();
    const arrivedBefore = arrived();
    await inject(packet());
    await grown("rx.drop.unknownSender", before, 1);
    await giveSubnet(former.address);
    await inject(packet());
    await capture.until(
      "the packet in the container",
      () => arrived() === arrivedBefore + 1,
      5_000,
    );
  });

  test("a packet larger than the overlay's MTU arrives or is counted, and does no harm", async () => {
    await giveSubnet(suite.rig.host(2).address);
    const before = await counters();
    await inject(packet({ payload: new Uint8Array(4_000) }));
    await eventually(
      "the packet in a counter",
      counters,
      (now) => handled(now) === handled(before) + 1,
    );
  });

  test("a quarter of a million random and mutated packets leave the agent forwarding, each of them counted", async () => {
    const { container, host } = suite.node(0);
    const { rig } = suite;
    const kernelDrops = async () =>
      await droppedPackets(host.namespace, "eth0") +
      await droppedPackets(rig.switch, host.uplink.port) +
      await droppedPackets(rig.switch, rig.host(2).uplink.port) +
      await droppedPackets(rig.host(2).namespace, "eth0");
    const before = handled(await counters()) + await kernelDrops();
    const { sent } = JSON.parse(
      await rig.host(2).namespace.run(
        program(
          "udp_storm.ts",
          host.address,
          String(OVERLAY_PORT),
          String(STORM),
          packet().toHex(),
        ),
      ),
    );
    assertEquals(sent, STORM);
    // The socket tells of what it dropped with the next packet that it takes.
    const result = await ping(
      suite.node(1).container.namespace,
      container.address,
      { count: 10, intervalSeconds: 0.02, deadlineSeconds: 10 },
    );
    assertEquals(result.received, result.sent);
    const after = handled(await counters()) + await kernelDrops();
    assertEquals(after - before, STORM + result.received);
  });
});

/** One of the first host's own counters, as /proc/net/snmp names it. */
async function kernelCounter(group: string, name: string): Promise<number> {
  const text = await suite.node(0).host.namespace.run([
    ...["cat", "/proc/net/snmp"],
  ]);
  const [names, values] = text.split("\n")
    .filter((line) => line.startsWith(`${group}: `))
    .map((line) => line.split(" "));
  const value = values?.[names?.indexOf(name) ?? -1];
  assert(value !== undefined, `the kernel counts no ${group} ${name}`);
  return Number(value);
}

/** Every datagram that the data path or its socket has dealt with. */
function handled(values: Record<string, number>): number {
  return Object.entries(values).reduce(
    (sum, [name, value]) =>
      name === "rx.packets" || name.startsWith("rx.drop.") ? sum + value : sum,
    0,
  );
}
