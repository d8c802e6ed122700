import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  address,
  KernelWorld,
  type TunRecord,
} from "../../../../support/kernel_world.ts";
import {
  somePayload,
  TCP_FLAGS,
  type TcpFields,
  tcpPacket,
  udpPacket,
} from "../../../../support/packet_builder.ts";
import {
  GSO_ECN,
  GSO_NONE,
  GSO_TCPV4,
  hasRightChecksums,
  oneHopOn,
  segment,
} from "../../../../support/slow_packets.ts";
import { unfinishedTcpPacket } from "../../../../support/unfinished_packet.ts";

const SENDER = address("192.0.2.2");
const OVERLAY_PORT = 8285;
const MTU_BYTES = 1472;
/** Beside an IPv4 header and one of TCP with twelve bytes of options. */
const SEGMENT_BYTES = MTU_BYTES - 20 - 32;
const TIMESTAMPS = Uint8Array.of(1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2);

const fields = (payloadBytes: number): TcpFields => ({
  source: address("10.1.2.5"),
  destination: address("10.1.1.7"),
  sourcePort: 4000,
  destinationPort: 80,
  sequence: 7,
  options: TIMESTAMPS,
  payload: somePayload(payloadBytes),
});

const unfinished = (
  payloadBytes: number,
  changes: Partial<TcpFields> = {},
) => unfinishedTcpPacket({ ...fields(payloadBytes), ...changes });

/** One datagram alone, from a port that says how to cut it. */
function receive(
  packet: Uint8Array,
  port: number,
  world = new KernelWorld(),
): TunRecord {
  const records = world.receive({ sender: SENDER, port, datagrams: [packet] });
  assertEquals(records.length, 1);
  return records[0]!;
}

Deno.test("a super-packet that comes whole is written as the packets that it is", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 512, max: SEGMENT_BYTES }),
      fc.integer({ min: 1, max: 65_507 - 52 }),
      fc.boolean(),
      (segmentBytes, payloadBytes, isLast) => {
        fc.pre(payloadBytes > segmentBytes);
        const flags = TCP_FLAGS.ack | (isLast ? TCP_FLAGS.fin : 0);
        const packet = unfinished(payloadBytes, { flags });
        const world = new KernelWorld();
        const { packets, vnet, packet: written } = receive(
          packet,
          segmentBytes,
          world,
        );
        assertEquals(vnet, {
          needsChecksum: true,
          gsoType: GSO_TCPV4,
          headerBytes: 52,
          gsoBytes: segmentBytes,
          checksumStart: 20,
          checksumOffset: 16,
        });
        assertEquals(written, oneHopOn(packet));
        const cut = segment(vnet, written);
        assertEquals(cut.length, packets);
        assert(cut.every(hasRightChecksums));
        assertEquals(
          cut.flatMap((one) => [...one.subarray(52)]),
          [...fields(payloadBytes).payload],
        );
        assertEquals(world.counters(), {
          "rx.packets": packets,
          "rx.bytes": packet.length,
          "rx.superPackets": 1,
          "rx.whole": 1,
        });
      },
    ),
    { numRuns: 30 },
  );
});

Deno.test("one that lowers the congestion window says so to the kernel that cuts it", () => {
  const flags = TCP_FLAGS.ack | TCP_FLAGS.cwr;
  const { vnet } = receive(unfinished(5_000, { flags }), SEGMENT_BYTES);
  assertEquals(vnet.gsoType, GSO_TCPV4 | GSO_ECN);
});

Deno.test("a packet with an unfinished checksum is finished by the host", () => {
  for (const payloadBytes of [0, 1, SEGMENT_BYTES]) {
    const packet = unfinished(payloadBytes);
    const { vnet, packet: written, packets } = receive(packet, OVERLAY_PORT);
    assertEquals([packets, vnet.gsoType], [1, GSO_NONE]);
    assertEquals(
      segment(vnet, written),
      [oneHopOn(tcpPacket(fields(payloadBytes)))],
    );
  }
});

Deno.test("a finished checksum stays, also one that looks unfinished", () => {
  const plain = receive(tcpPacket(fields(100)), OVERLAY_PORT);
  assertEquals(plain.vnet.needsChecksum, false);
  // With p for the pseudo header's sum and r for that of the rest, the checksum is
  // the complement of p + r: the last two bytes make it p.
  const of = (last: number) => {
    const payload = new Uint8Array(100);
    new DataView(payload.buffer).setUint16(98, last);
    return { ...fields(100), payload };
  };
  const p = checksumOf(unfinishedTcpPacket(of(0)));
  const complement = checksumOf(tcpPacket(of(0)));
  const odd = tcpPacket(of((complement - p + 0xffff) % 0xffff));
  assertEquals(checksumOf(odd), p);
  assert(hasRightChecksums(odd));
  const { packet, vnet } = receive(odd, OVERLAY_PORT);
  assert(vnet.needsChecksum);
  assertEquals(segment(vnet, packet), [oneHopOn(odd)]);
});

const checksumOf = (packet: Uint8Array) =>
  new DataView(packet.buffer).getUint16(20 + 16);

Deno.test("nothing of its flow overtakes what is not merged with it", () => {
  const world = new KernelWorld();
  const follow = (sequence: number) =>
    tcpPacket({ ...fields(1_000), sequence });
  const records = world.receive(
    { sender: SENDER, datagrams: [follow(7), follow(1_007)] },
    {
      sender: SENDER,
      port: SEGMENT_BYTES,
      datagrams: [unfinished(9_000, { sequence: 50_007 })],
    },
    // It would fit behind the first two.
    { sender: SENDER, datagrams: [follow(2_007), follow(3_007)] },
  );
  assertEquals(
    records.map(({ packet }) => new DataView(packet.buffer).getUint32(24)),
    [7, 50_007, 2_007],
  );
  assertEquals(records.map(({ packets }) => packets), [2, 7, 2]);
});

/** What is not cut as a super-packet: the packet, and the port that it is from. */
const NOT_WHOLE: readonly [string, Uint8Array, number][] = [
  ["of the overlay's own port", unfinished(64_000), OVERLAY_PORT],
  ["in packets of 511 bytes", unfinished(64_000), 511],
  ["from port 0", unfinished(64_000), 0],
  [
    "in packets larger than the overlay's MTU",
    unfinished(64_000),
    SEGMENT_BYTES + 1,
  ],
  ["from the highest port", unfinished(64_000), 65_535],
  ["that is one packet", unfinished(SEGMENT_BYTES), SEGMENT_BYTES],
  ["with a finished checksum", tcpPacket(fields(64_000)), SEGMENT_BYTES],
  [
    "that opens a connection",
    unfinished(64_000, { flags: TCP_FLAGS.syn | TCP_FLAGS.ack }),
    SEGMENT_BYTES,
  ],
  [
    "that resets a connection",
    unfinished(64_000, { flags: TCP_FLAGS.rst }),
    SEGMENT_BYTES,
  ],
  [
    "with IP options",
    unfinished(64_000, { ipOptions: new Uint8Array(4) }),
    SEGMENT_BYTES,
  ],
  [
    "that is a fragment",
    unfinished(64_000, { fragment: 0x2000 }),
    SEGMENT_BYTES,
  ],
  ["with a TCP header of 16 bytes", withHeaderWords(64_000, 4), SEGMENT_BYTES],
  ["whose TCP header is all of it", withHeaderWords(20, 13), 512],
  [
    "of UDP",
    udpPacket({ ...fields(64_000), withoutChecksum: true }),
    SEGMENT_BYTES,
  ],
];

function withHeaderWords(payloadBytes: number, words: number): Uint8Array {
  const packet = unfinished(payloadBytes);
  packet[20 + 12] = words << 4;
  return packet;
}

for (const [what, packet, port] of NOT_WHOLE) {
  Deno.test(`a datagram ${what} is no super-packet`, () => {
    const world = new KernelWorld();
    const { packets, vnet } = receive(packet, port, world);
    assertEquals([packets, vnet.gsoType], [1, GSO_NONE]);
    assertEquals(world.counters(), {
      "rx.packets": 1,
      "rx.bytes": packet.length,
    });
  });
}

Deno.test("without tun-tcp-offload none comes whole, and checksums are finished all the same", () => {
  const world = new KernelWorld({ coalesceTcp: false });
  const { packets, vnet } = receive(unfinished(64_000), SEGMENT_BYTES, world);
  assertEquals(
    [packets, vnet.gsoType, vnet.needsChecksum],
    [1, GSO_NONE, true],
  );
  assertEquals(world.counters()["rx.whole"], undefined);
});

/** Super-packets that may not enter, and the counter that says so. */
const REFUSED: readonly [string, Partial<TcpFields>, string, string][] = [
  ["a stranger", {}, "192.0.2.99", "rx.drop.unknownSender"],
  ["another peer", {}, "192.0.2.3", "rx.drop.wrongSource"],
  [
    "a peer with another's source",
    { source: address("10.1.3.5") },
    "192.0.2.2",
    "rx.drop.wrongSource",
  ],
  [
    "a peer to another host's container",
    { destination: address("10.1.3.5") },
    "192.0.2.2",
    "rx.drop.wrongDestination",
  ],
  ["a peer with a spent TTL", { ttl: 1 }, "192.0.2.2", "rx.drop.ttl"],
];

for (const [whose, changes, sender, counter] of REFUSED) {
  Deno.test(`a super-packet of ${whose} is dropped as ${counter}`, () => {
    const world = new KernelWorld();
    const records = world.receive({
      sender: address(sender),
      port: SEGMENT_BYTES,
      datagrams: [unfinished(64_000, changes)],
    });
    assertEquals(records, []);
    assertEquals(world.counters(), { [counter]: 1 });
  });
}
