import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import * as layout from "../../../../../backend/udp/tun/layout.ts";
import { MF, udpPacket } from "../../../../support/packet_builder.ts";
import { address, KernelWorld } from "../../../../support/kernel_world.ts";
import {
  tcpSuper,
  type TunPacket,
  udpSuper,
  unfinished,
} from "../../../../support/random_packets.ts";
import {
  GSO_TCPV4,
  GSO_UDP_L4,
  hasRightChecksums,
  oneHopOn,
  PLAIN,
  segment,
} from "../../../../support/slow_packets.ts";

const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));
const TCP_SUPER = hex(
  "4500003bffff4000400623b00a0101050a010207" +
    "10000050fffffffe0000000780990200173b00000101080a0000000100000002" +
    "61626364656667",
);
const TCP_VNET = {
  needsChecksum: true,
  gsoType: GSO_TCPV4,
  headerBytes: 52,
  gsoBytes: 3,
  checksumStart: 20,
  checksumOffset: 16,
};
const UDP_SUPER = hex(
  "4500002300010000401163bc0a0101050a01020703e807d0000f172e61626364656667",
);
const UDP_VNET = {
  needsChecksum: true,
  gsoType: GSO_UDP_L4,
  headerBytes: 28,
  gsoBytes: 3,
  checksumStart: 20,
  checksumOffset: 6,
};

Deno.test("a packet with an unfinished UDP checksum leaves complete and one hop on", () => {
  const world = new KernelWorld();
  const { verdict, peer, packets } = world.transmit(
    { ...UDP_VNET, gsoType: 0, gsoBytes: 0 },
    hex("4500001f123440004011118d0a0101050a01020703e807d0000b172a686921"),
  );
  assertEquals(verdict, layout.TRANSMIT_SINGLE);
  assertEquals(peer, address("192.0.2.2"));
  assertEquals(
    packets[0]!.toHex(),
    "4500001f123440003f11128d0a0101050a01020703e807d0000b53a9686921",
  );
  assertEquals(world.counters(), {});
});

Deno.test("a TCP super-packet is cut: ID and sequence wrap, CWR stays on the first, FIN and PSH on the last", () => {
  const world = new KernelWorld();
  const { verdict, packets } = world.transmit(TCP_VNET, TCP_SUPER);
  assertEquals(verdict, layout.TRANSMIT_SUPER);
  assertEquals(packets.map((packet) => packet.toHex()), [
    "45000037ffff40003f0624b40a0101050a01020710000050fffffffe00000007" +
    "80900200887100000101080a0000000100000002616263",
    "45000037000040003f0624b40a0101050a010207100000500000000100000007" +
    "8010020082ec00000101080a0000000100000002646566",
    "45000035000140003f0624b50a0101050a010207100000500000000400000007" +
    "80190200e64700000101080a000000010000000267",
  ]);
  assertEquals(world.counters(), { "tx.superPackets": 1 });
});

Deno.test("a UDP super-packet is cut into datagrams with their own lengths", () => {
  const { packets } = new KernelWorld().transmit(UDP_VNET, UDP_SUPER);
  assertEquals(packets.map((packet) => packet.toHex()), [
    "4500001f000100003f1164c00a0101050a01020703e807d0000b18b0616263",
    "4500001f000200003f1164bf0a0101050a01020703e807d0000b12ad646566",
    "4500001d000300003f1164c00a0101050a01020703e807d00009761667",
  ]);
});

/** What the slow implementation sends for a packet from the TUN. */
function slowly({ vnet, packet }: TunPacket): string[] {
  return segment(vnet, oneHopOn(packet)).map((bytes) => bytes.toHex());
}

function sameAsSlow(packets: fc.Arbitrary<TunPacket>, runs: number): void {
  const world = new KernelWorld();
  fc.assert(
    fc.property(
      packets,
      fc.integer({ min: 1, max: layout.MAX_SEGMENTS }),
      (given, room) => {
        const sent = world.transmit(given.vnet, given.packet, room).packets;
        assertEquals(sent.map((bytes) => bytes.toHex()), slowly(given));
        assert(sent.every(hasRightChecksums));
      },
    ),
    { numRuns: runs },
  );
}

Deno.test("TCP super-packets are cut as the slow implementation cuts them", () => {
  sameAsSlow(tcpSuper, 300);
});

Deno.test("UDP super-packets are cut as the slow implementation cuts them", () => {
  sameAsSlow(udpSuper, 300);
});

Deno.test("unfinished checksums are completed as the slow implementation does", () => {
  sameAsSlow(unfinished, 300);
});

Deno.test("a checksum that comes out as 0 is sent as 0xffff", () => {
  const world = new KernelWorld();
  const packet = udpPacket({
    source: address("10.1.1.5"),
    destination: address("10.1.2.7"),
    sourcePort: 1,
    destinationPort: 2,
    payload: new Uint8Array(2),
  });
  // The payload that makes all other words sum up to 0xffff.
  const checksum = (packet[26]! << 8) | packet[27]!;
  packet[28] = checksum >> 8;
  packet[29] = checksum & 255;
  // The field without a checksum: the pseudo header's sum.
  const [field] = [0x0a01 + 0x0105 + 0x0a01 + 0x0207 + 17 + 10];
  packet[26] = field! >> 8;
  packet[27] = field! & 255;
  const { packets } = world.transmit(
    { ...UDP_VNET, gsoType: 0, gsoBytes: 0 },
    packet,
  );
  assertEquals(packets[0]!.slice(26, 28), hex("ffff"));
});

Deno.test("fragments pass as they are, but for the hop", () => {
  const fragment = udpPacket({
    source: address("10.1.1.5"),
    destination: address("10.1.2.7"),
    fragment: MF | 100,
    sourcePort: 1,
    destinationPort: 2,
    payload: new Uint8Array(99),
  });
  const { packets } = new KernelWorld().transmit(PLAIN, fragment);
  assertEquals(packets[0], oneHopOn(fragment));
});

const good = (changes: Partial<Parameters<typeof udpPacket>[0]> = {}) =>
  udpPacket({
    source: address("10.1.1.5"),
    destination: address("10.1.2.7"),
    sourcePort: 1,
    destinationPort: 2,
    payload: new Uint8Array(9),
    ...changes,
  });
const patched = (packet: Uint8Array, at: number, ...bytes: number[]) => {
  const copy = packet.slice();
  copy.set(bytes, at);
  return copy;
};

/** What is wrong, the packet, its header and the counter. */
const REFUSED: readonly [string, TunPacket["vnet"], Uint8Array, string][] = [
  ["nothing at all", PLAIN, new Uint8Array(), "tx.drop.short"],
  ["19 bytes", PLAIN, good().slice(0, 19), "tx.drop.short"],
  ["an IPv6 packet", PLAIN, patched(good(), 0, 0x60), "tx.drop.notIpv4"],
  [
    "a header of 16 bytes",
    PLAIN,
    patched(good(), 0, 0x44),
    "tx.drop.badHeader",
  ],
  [
    "a header beyond the packet",
    PLAIN,
    patched(good(), 0, 0x4f),
    "tx.drop.badHeader",
  ],
  ["a wrong length", PLAIN, patched(good(), 3, 99), "tx.drop.badHeader"],
  [
    "a destination without a lease",
    PLAIN,
    good({ destination: address("10.1.9.1") }),
    "tx.drop.noPeer",
  ],
  [
    "a destination outside the network",
    PLAIN,
    good({ destination: address("10.2.2.1") }),
    "tx.drop.noPeer",
  ],
  ["TTL 1", PLAIN, good({ ttl: 1 }), "tx.drop.ttl"],
  ["TTL 0", PLAIN, good({ ttl: 0 }), "tx.drop.ttl"],
  [
    "a checksum field beyond the packet",
    { ...PLAIN, needsChecksum: true, checksumStart: 20, checksumOffset: 16 },
    good(),
    "tx.drop.badOffload",
  ],
  [
    "a checksum over the IP header",
    { ...PLAIN, needsChecksum: true, checksumStart: 12, checksumOffset: 6 },
    good(),
    "tx.drop.badOffload",
  ],
  [
    "an unknown GSO type",
    { ...UDP_VNET, gsoType: 3 },
    UDP_SUPER,
    "tx.drop.badOffload",
  ],
  [
    "TCP GSO on a UDP packet",
    { ...UDP_VNET, gsoType: GSO_TCPV4 },
    UDP_SUPER,
    "tx.drop.badOffload",
  ],
  [
    "segments of 0 bytes",
    { ...UDP_VNET, gsoBytes: 0 },
    UDP_SUPER,
    "tx.drop.badOffload",
  ],
  [
    "segments that no datagram can hold",
    { ...UDP_VNET, gsoBytes: layout.MAX_SEND_BYTES - 27 },
    UDP_SUPER,
    "tx.drop.badOffload",
  ],
  [
    "a super-packet without a payload",
    UDP_VNET,
    patched(UDP_SUPER.slice(0, 28), 3, 28),
    "tx.drop.badOffload",
  ],
  [
    "a TCP header beyond the packet",
    TCP_VNET,
    patched(TCP_SUPER, 32, 0xf0),
    "tx.drop.badOffload",
  ],
  [
    "a TCP header of 16 bytes",
    TCP_VNET,
    patched(TCP_SUPER, 32, 0x40),
    "tx.drop.badOffload",
  ],
];

for (const [what, vnet, packet, counter] of REFUSED) {
  Deno.test(`from the TUN, ${what} is dropped and counted as ${counter}`, () => {
    const world = new KernelWorld();
    const { verdict } = world.transmit(vnet, packet);
    assertEquals(world.counters(), { [counter]: 1 });
    assertEquals(
      verdict,
      counter === "tx.drop.noPeer"
        ? layout.TRANSMIT_NO_PEER
        : counter === "tx.drop.ttl"
        ? layout.TRANSMIT_TTL_EXCEEDED
        : layout.TRANSMIT_DROP,
    );
  });
}

const GUARD = 0xa5;

function isFilled(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] !== GUARD) return false;
  return true;
}

Deno.test("mutated packets from the TUN are cut within the batch's headers or counted, each once", () => {
  const world = new KernelWorld();
  let given = 0;
  fc.assert(
    fc.property(
      fc.oneof(tcpSuper, udpSuper, unfinished),
      fc.array(fc.tuple(fc.nat(69), fc.nat(255)), { maxLength: 6 }),
      ({ vnet, packet }, changes) => {
        const { bytes } = world.memory;
        bytes.fill(GUARD, layout.TX_HEADERS, layout.RX_RECORDS);
        const mutated = packet.slice();
        for (const [at, value] of changes) {
          if (at < mutated.length) mutated[at] = value;
        }
        const { verdict } = world.transmit(vnet, mutated);
        const headersEnd = layout.TX_HEADERS +
          layout.MAX_SEGMENTS * layout.TX_HEADER_STRIDE;
        const iovecsEnd = layout.TX_IOV + layout.MAX_SEGMENTS * 32;
        assert(isFilled(bytes, headersEnd, layout.TX_IOV));
        assert(isFilled(bytes, iovecsEnd, layout.RX_RECORDS));
        if (
          verdict !== layout.TRANSMIT_SINGLE &&
          verdict !== layout.TRANSMIT_SUPER
        ) given++;
      },
    ),
    { numRuns: 1_000 },
  );
  const dropped = Object.entries(world.counters())
    .filter(([name]) => name.startsWith("tx.drop."))
    .reduce((sum, [, value]) => sum + value, 0);
  assertEquals(dropped, given);
});
