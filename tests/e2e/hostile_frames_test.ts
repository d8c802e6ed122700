/**
 * Frames on the underlay that no socket makes: what is right in an odd form
 * arrives, and nothing else does.
 *
 * Each frame carries words of its own, by which the container knows it.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Daemon } from "../rig/daemon.ts";
import { type InnerPacket, innerPacket } from "../support/inner_packet.ts";
import {
  ethernetFrame,
  fragment,
  fragmentsOf,
  type FrameOptions,
  type OuterPacket,
  outerPacket,
} from "../support/outer_packet.ts";
import { type VirtioHeader, virtioHeader } from "../support/virtio_header.ts";
import { HOSTILE_FRAMES } from "./data_paths.ts";
import { Injector } from "./injector.ts";
import { eventually, serve, statusOf, SUBNETS } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { program } from "./programs/path.ts";

const OVERLAY_PORT = 8285;
const CONTAINER_PORT = 7000;
const THIRD_SUBNET = "10.1.200.0";
const THIRD_CONTAINER = "10.1.200.5";
/** Ethernet, IPv4: where the outer UDP header begins. */
const UDP_AT = 34;
const UDP_HEADER_BYTES = 8;
const ETHERNET_HEADER_BYTES = 14;
/** A frame of more may have its parts in several places of memory. */
const PAGE_BYTES = 4096;
const ARRIVAL_MS = 5_000;
/** RFC 791: no operation. */
const NO_OPERATION = 1;
/** RFC 791, 3.1: loose source route over one address, padded. */
const SOURCE_ROUTE = [131, 7, 4, 192, 0, 2, 12, 0];

/** Prints what reaches the first host's container. */
let capture: Daemon;
/** On the third host's cable. */
let injector: Injector;
let macs: Pick<FrameOptions, "sourceMac" | "destinationMac">;

const suite = new OverlaySuite("hostile frames", {
  hosts: 3,
  agents: 2,
  // Every packet is counted.
  flags: ["--probe-port=0"],
  prepare: async ({ node, rig }) => {
    const mac = async (index: number) =>
      (await rig.host(index).namespace.run([
        ...["cat", "/sys/class/net/eth0/address"],
      ])).trim();
    macs = { sourceMac: await mac(2), destinationMac: await mac(0) };
    capture = await serve(
      rig,
      node(0).container.namespace,
      program("udp_capture.ts", "0.0.0.0", String(CONTAINER_PORT)),
    );
    injector = Injector.frames(rig.host(2).namespace, "eth0");
    // The third host is a peer without an agent.
    await rig.etcd.ctl(
      "put",
      `${SUBNETS}/${THIRD_SUBNET}-24`,
      JSON.stringify({ PublicIP: rig.host(2).address, PublicIPv6: null }),
    );
    await eventually(
      "the third host as a peer",
      () => statusOf(node(0)),
      ({ peers }) => peers.some((peer) => peer.publicIp.endsWith(".13")),
    );
  },
});

let words = 0;
/** Eight bytes that no other packet carries. */
function newWords(): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(
    0,
    BigInt(++words) | 0x4c6f64n << 40n,
  );
  return bytes;
}

/** A packet of the third host's container to the first one's. */
function inner(
  payload: Uint8Array,
  changes: Partial<InnerPacket> = {},
): Uint8Array {
  return innerPacket({
    source: THIRD_CONTAINER,
    destination: suite.node(0).container.address,
    port: CONTAINER_PORT,
    payload,
    ...changes,
  });
}

/** It in a datagram of the third host to the first. */
function outer(
  payload: Uint8Array,
  changes: Partial<OuterPacket> = {},
): Uint8Array {
  return outerPacket({
    source: suite.rig.host(2).address,
    destination: suite.rig.host(0).address,
    port: OVERLAY_PORT,
    payload,
    ...changes,
  });
}

/** It on the cable. */
function frame(
  packet: Uint8Array,
  changes: Partial<FrameOptions> = {},
  header: VirtioHeader = {},
): Uint8Array {
  return new Uint8Array([
    ...virtioHeader(header),
    ...ethernetFrame(packet, { ...macs, ...changes }),
  ]);
}

/** Sends frames out of the third host's cable, in order. */
async function send(frames: readonly Uint8Array[]): Promise<void> {
  await injector.send(frames);
}

/** How often the container has got these words. */
function arrivals(payload: Uint8Array): number {
  return capture.log().split(payload.toHex()).length - 1;
}

async function untilArrived(payload: Uint8Array): Promise<void> {
  await capture.until(
    `${payload.toHex()} in the container`,
    () => arrivals(payload) > 0,
    ARRIVAL_MS,
  );
}

/** An honest packet: when it has arrived, so has all that came before it. */
async function sendHonest(): Promise<void> {
  const payload = newWords();
  await send([frame(outer(inner(payload)))]);
  await untilArrived(payload);
}

async function counter(name: string): Promise<number> {
  return (await statusOf(suite.node(0))).backend!.counters[name] ?? 0;
}

/** Frames made around the words. */
type Make = (payload: Uint8Array) => Uint8Array[];

/** In what a packet differs from a plain one. */
interface Changes {
  readonly inner?: Partial<InnerPacket>;
  readonly outer?: Partial<OuterPacket>;
  readonly frame?: Partial<FrameOptions>;
  readonly header?: VirtioHeader;
}

/** One frame; a function of the hosts where it needs to know them. */
function one(changes: Changes | (() => Changes)): Make {
  return (payload) => {
    const all = typeof changes === "function" ? changes() : changes;
    const packet = outer(inner(payload, all.inner), all.outer);
    return [frame(packet, all.frame, all.header)];
  };
}

const large = (payload: Uint8Array) =>
  new Uint8Array([...payload, ...new Uint8Array(600)]);

/** A large packet in outer fragments. */
const outerFragments = (changes: Partial<InnerPacket> = {}): Make =>
(
  payload,
) =>
  fragmentsOf(outer(inner(large(payload), changes)), 400)
    .map((part) => frame(part));

/** A large packet in inner fragments. */
const innerFragments = (changes: Partial<InnerPacket> = {}): Make =>
(
  payload,
) =>
  fragmentsOf(inner(large(payload), changes), 400)
    .map((part) => frame(outer(part)));

/** Pieces of a large packet's body as outer fragments: from, to, where, more. */
const pieces = (
  ...all: readonly [number, number | undefined, number, boolean][]
): Make =>
(payload) => {
  const packet = outer(inner(large(payload)));
  const [header, body] = [packet.subarray(0, 20), packet.subarray(20)];
  return all.map(([from, to, at, more]) =>
    frame(fragment(header, body.subarray(from, to), at, more))
  );
};

const lastFirst = (make: Make): Make => (payload) => make(payload).reverse();
const nops = (count: number) => new Uint8Array(count).fill(NO_OPERATION);
const DEVICE_FINISHES: Changes = {
  outer: { udpChecksum: "unfinished" },
  header: { unfinishedUdpAt: UDP_AT },
};
const OUTSIDE = { source: "203.0.113.5" };
const ownAddress = (last: string) =>
  suite.node(0).container.address.replace(/\d+$/, last);

/** What is right, in a form that a fast path may not know. */
const ODD: readonly [string, Make][] = [
  ["a plain packet", one({})],
  ["a packet with an outer checksum", one({ outer: { udpChecksum: "right" } })],
  [
    "a packet whose outer checksum the device has to finish",
    one(DEVICE_FINISHES),
  ],
  ["a packet with an inner checksum", one({ inner: { udpChecksum: "right" } })],
  [
    "a packet with both checksums, the outer one for the device to finish",
    one({ ...DEVICE_FINISHES, inner: { udpChecksum: "right" } }),
  ],
  [
    "a packet from another port, as behind a NAT",
    one({ outer: { sourcePort: 40_000 } }),
  ],
  ["a packet with outer IP options", one({ outer: { options: nops(4) } })],
  [
    "a packet with forty bytes of outer IP options",
    one({ outer: { options: nops(40) } }),
  ],
  ["a packet in two outer fragments", outerFragments()],
  [
    "a packet in two outer fragments, the last one first",
    lastFirst(outerFragments()),
  ],
  [
    "a packet in an outer fragment of eight bytes and the rest",
    pieces([0, 8, 0, true], [8, undefined, 8, false]),
  ],
  ["a packet in inner fragments", innerFragments()],
  [
    "a packet in inner fragments, the last one first",
    lastFirst(innerFragments()),
  ],
  ["a frame with padding", one({ frame: { paddingBytes: 20 } })],
  ["a frame with a priority and no VLAN", one({ frame: { vlans: [0] } })],
];

/** What is wrong, and the counter that must say so where the path sees it. */
const WRONG: readonly [string, Make, string?][] = [
  ["a frame of a VLAN", one({ frame: { vlans: [5] } })],
  ["a frame of a VLAN within a VLAN", one({ frame: { vlans: [5, 6] } })],
  ["a frame of a VLAN within priority", one({ frame: { vlans: [0, 6] } })],
  [
    "a frame for another station",
    one({ frame: { destinationMac: "02:00:5e:00:53:01" } }),
  ],
  [
    "a packet for another host",
    one(() => ({ outer: { destination: suite.rig.host(1).address } })),
  ],
  [
    "a packet for all hosts of the underlay",
    one({
      outer: { destination: "192.0.2.255" },
      frame: { destinationMac: "ff:ff:ff:ff:ff:ff" },
    }),
  ],
  [
    "a packet for a group",
    one({
      outer: { destination: "224.0.0.1" },
      frame: { destinationMac: "01:00:5e:00:00:01" },
    }),
  ],
  [
    "a packet for an overlay address of this host, outside",
    one(() => ({ outer: { destination: ownAddress("0") } })),
  ],
  ["a packet for another port", one({ outer: { port: OVERLAY_PORT + 1 } })],
  ["a packet of another protocol than UDP", one({ outer: { protocol: 136 } })],
  [
    "a peer's address as the sender, with a source that is not the peer's",
    one(() => ({ outer: { source: suite.rig.host(1).address } })),
    "rx.drop.wrongSource",
  ],
  [
    "a source of this host's own subnet",
    one(() => ({ inner: { source: ownAddress("77") } })),
    "rx.drop.wrongSource",
  ],
  [
    "outer options and a source that is not the sender's",
    one({ inner: OUTSIDE, outer: { options: nops(4) } }),
    "rx.drop.wrongSource",
  ],
  [
    "outer fragments and a source that is not the sender's",
    outerFragments(OUTSIDE),
    "rx.drop.wrongSource",
  ],
  [
    "inner fragments and a source that is not the sender's",
    innerFragments(OUTSIDE),
    "rx.drop.wrongSource",
  ],
  [
    "outer fragments that were never a packet",
    (payload) =>
      fragmentsOf(outer(large(payload)), 400).map((part) => frame(part)),
  ],
  [
    "a first outer fragment that holds all, and no second",
    pieces([0, undefined, 0, true]),
  ],
  [
    "a later outer fragment that looks like the whole",
    pieces([0, undefined, 1_480, false]),
  ],
  [
    "outer fragments that overlap",
    pieces([0, 400, 0, true], [200, undefined, 200, false]),
  ],
  [
    "a route of the sender's choice in the outer options",
    one({ outer: { options: new Uint8Array(SOURCE_ROUTE) } }),
  ],
  [
    "a wrong outer header checksum",
    one({ outer: { badHeaderChecksum: true } }),
  ],
  ["a wrong inner UDP checksum", one({ inner: { udpChecksum: "wrong" } })],
  [
    "a wrong inner UDP checksum under a right outer one",
    one({ inner: { udpChecksum: "wrong" }, outer: { udpChecksum: "right" } }),
  ],
  [
    "a wrong inner UDP checksum under an outer one for the device to finish",
    one({ ...DEVICE_FINISHES, inner: { udpChecksum: "wrong" } }),
  ],
  [
    "an outer UDP length above the packet's",
    one({ outer: { udpLength: 1_000 } }),
  ],
  [
    "an outer UDP length below its own header's",
    one({ outer: { udpLength: 7 } }),
  ],
  [
    "an outer UDP length below the inner packet's",
    one({ outer: { udpLength: 40 } }),
    "rx.drop.badLength",
  ],
  [
    "an outer total length above the frame's",
    one({ outer: { totalLength: 1_000 } }),
  ],
  [
    "an outer total length below the UDP header's end",
    one({ outer: { totalLength: 24 } }),
  ],
];

/** Senders that the host's own kernel refuses before any socket sees them. */
const MARTIANS: readonly [string, () => string][] = [
  ["this host's own address", () => suite.rig.host(0).address],
  ["a loopback address", () => "127.0.0.1"],
  ["the address 0.0.0.0", () => "0.0.0.0"],
  ["a group's address", () => "224.0.0.5"],
  ["the broadcast address", () => "255.255.255.255"],
];

suite.each(HOSTILE_FRAMES, (test, { traits, underlayMtuBytes }) => {
  for (const [what, make] of ODD) {
    test(`${what} arrives, once`, async () => {
      const payload = newWords();
      await send(make(payload));
      await untilArrived(payload);
      await sendHonest();
      assertEquals(arrivals(payload), 1);
    });
  }

  for (const [what, make, name] of WRONG) {
    test(`${what} is not delivered${name ? ` but counted: ${name}` : ""}`, async () => {
      const payload = newWords();
      const before = name ? await counter(name) : 0;
      await send(make(payload));
      if (name) {
        await eventually(name, () => counter(name), (now) => now > before);
      }
      await sendHonest();
      assertEquals(arrivals(payload), 0);
    });
  }

  for (const [what, sender] of MARTIANS) {
    test(`${what} as the sender is not believed, whatever the source`, async () => {
      const payload = newWords();
      const before = await counter("rx.drop.unknownSender");
      const sources = [
        THIRD_CONTAINER,
        suite.node(0).container.address.replace(/\d+$/, "77"),
        suite.node(1).container.address,
      ];
      await send(
        sources.map((source) =>
          frame(outer(inner(payload, { source }), { source: sender() }))
        ),
      );
      await sendHonest();
      assertEquals(arrivals(payload), 0);
      if (traits.seesBeforeHost) {
        const after = await counter("rx.drop.unknownSender");
        assertEquals(after - before, sources.length);
      }
    });
  }

  test("a super-packet of forty arrives whole, but for the hostile ones within, which are counted", async () => {
    const pieces = Array.from({ length: 40 }, (_, index) => ({
      payload: newWords(),
      source: index % 10 === 5 ? "203.0.113.5" : THIRD_CONTAINER,
    }));
    const bytes = pieces.map(({ payload, source }) =>
      inner(payload, { source })
    );
    const before = await counter("rx.drop.wrongSource");
    await send([superFrame(bytes, UDP_AT + UDP_HEADER_BYTES)]);
    const good = pieces.filter(({ source }) => source === THIRD_CONTAINER);
    for (const { payload } of good) await untilArrived(payload);
    await eventually(
      "the hostile ones in a counter",
      () => counter("rx.drop.wrongSource"),
      (now) => now === before + pieces.length - good.length,
    );
    await sendHonest();
    const expected = pieces.map((piece) => good.includes(piece) ? 1 : 0);
    assertEquals(pieces.map(({ payload }) => arrivals(payload)), expected);
  });

  test("a super-packet of nearly 64 KiB arrives whole and in order, its inner headers not where a packet's usually are", async () => {
    const payloads = Array.from({ length: 44 }, newWords);
    const bytes = payloads.map((payload) =>
      inner(new Uint8Array([...payload, ...new Uint8Array(1_400)]), {
        udpChecksum: "right",
      })
    );
    await send([superFrame(bytes, UDP_AT + UDP_HEADER_BYTES)]);
    for (const payload of payloads) await untilArrived(payload);
    const log = capture.log();
    const places = payloads.map((payload) => log.indexOf(payload.toHex()));
    assertEquals(places, places.toSorted((a, b) => a - b));
    assertEquals(payloads.map(arrivals), payloads.map(() => 1));
  });

  if (underlayMtuBytes < 2 * PAGE_BYTES) return;

  for (const linearBytes of [ETHERNET_HEADER_BYTES, 34, 42, 50, 62, 70]) {
    test(`a packet of two pages with ${linearBytes} bytes where headers usually are arrives, and a hostile one is counted`, async () => {
      const [honest, hostile] = [newWords(), newWords()];
      const send2Pages = (words: Uint8Array, source: string) => {
        const payload = new Uint8Array([...words, ...new Uint8Array(8_000)]);
        const packet = inner(payload, { source, udpChecksum: "right" });
        return send([frame(outer(packet), {}, { linearBytes })]);
      };
      const before = await counter("rx.drop.wrongSource");
      await send2Pages(hostile, "203.0.113.5");
      await send2Pages(honest, THIRD_CONTAINER);
      await untilArrived(honest);
      assertEquals(arrivals(hostile), 0);
      assertEquals(await counter("rx.drop.wrongSource") - before, 1);
    });
  }
});

/** Packets of one length as one frame, to be cut on the way or never. */
function superFrame(
  packets: readonly Uint8Array[],
  linearBytes: number,
): Uint8Array {
  const joined = new Uint8Array(packets.flatMap((packet) => [...packet]));
  return frame(outer(joined, { udpChecksum: "unfinished" }), {}, {
    cut: { type: "udp", pieceBytes: packets[0]!.length },
    linearBytes,
    unfinishedUdpAt: UDP_AT,
  });
}
