import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { internetChecksum } from "../../../net/checksum.ts";
import {
  forbidsFragmentation,
  icmpError,
  icmpErrorRecipient,
} from "../../../net/icmp_error.ts";
import { parseIpv4 } from "../../../net/ipv4.ts";
import {
  DF,
  ipv4Packet,
  MF,
  PROTOCOLS,
  somePayload,
  udpPacket,
} from "../../support/packet_builder.ts";

const SOURCE = "10.1.1.5";

interface Addresses {
  readonly source?: string;
  readonly destination?: string;
  readonly fragment?: number;
}

function header(
  { source = SOURCE, destination = "10.1.2.7", fragment = 0 }: Addresses,
) {
  return {
    source: parseIpv4(source)!,
    destination: parseIpv4(destination)!,
    fragment,
  };
}

const udp = (addresses: Addresses = {}, bytes = 20) =>
  udpPacket({
    ...header(addresses),
    sourcePort: 1,
    destinationPort: 2,
    payload: somePayload(bytes),
  });
const icmp = (type: number, addresses: Addresses = {}) =>
  ipv4Packet(
    header(addresses),
    PROTOCOLS.icmp,
    Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0),
  );

/** RFC 1122 3.2.2: a packet, and whether its sender may be told. */
const RECIPIENTS: readonly [string, Uint8Array, boolean][] = [
  ["a UDP packet", udp(), true],
  ["a first fragment", udp({ fragment: MF }), true],
  ["a later fragment", udp({ fragment: MF | 1 }), false],
  ["a last fragment", udp({ fragment: 0x1fff }), false],
  ["an echo request", icmp(8), true],
  ["an echo reply", icmp(0), true],
  ["destination unreachable", icmp(3), false],
  ["source quench", icmp(4), false],
  ["a redirect", icmp(5), false],
  ["time exceeded", icmp(11), false],
  ["parameter problem", icmp(12), false],
  ["an ICMP message without a type", icmp(8).slice(0, 20), false],
  ["a packet to a multicast group", udp({ destination: "224.0.0.251" }), false],
  ["a packet to everyone", udp({ destination: "255.255.255.255" }), false],
  ["a packet to a loopback address", udp({ destination: "127.0.0.1" }), false],
  ["a packet from no address", udp({ source: "0.0.0.0" }), false],
  ["a packet from network 0", udp({ source: "0.1.2.3" }), false],
  ["a packet from a loopback address", udp({ source: "127.0.0.1" }), false],
  ["a packet from a multicast group", udp({ source: "239.1.1.1" }), false],
  ["a packet from everyone", udp({ source: "255.255.255.255" }), false],
  ["less than a header", udp().slice(0, 19), false],
];

for (const [what, packet, told] of RECIPIENTS) {
  Deno.test(`the sender of ${what} is ${told ? "told" : "not told"} of an error`, () => {
    assertEquals(
      icmpErrorRecipient(packet),
      told ? parseIpv4(SOURCE) : undefined,
    );
  });
}

Deno.test("a known message: fragmentation needed, with the next hop's MTU", () => {
  const packet = udp({ fragment: DF }, 0);
  const message = icmpError(
    { kind: "fragmentation-needed", mtuBytes: 1_472 },
    packet,
  );
  assertEquals(
    message.slice(0, 2).toHex() + message.slice(4, 8).toHex(),
    "0304000005c0",
  );
  assertEquals(message.slice(8), packet);
});

Deno.test("net unreachable and time exceeded have their type, code and four zero bytes", () => {
  for (
    const [kind, expected] of [
      ["net-unreachable", "030000000000"],
      ["time-exceeded", "0b0000000000"],
    ] as const
  ) {
    const message = icmpError({ kind }, udp());
    assertEquals(
      message.slice(0, 2).toHex() + message.slice(4, 8).toHex(),
      expected,
    );
  }
});

Deno.test("a message fits into 576 bytes with its IP header, and its checksum holds", () => {
  fc.assert(fc.property(
    fc.nat(2_000),
    fc.integer({ min: 68, max: 65_535 }),
    (bytes, mtuBytes) => {
      const packet = udp({}, bytes);
      const message = icmpError(
        { kind: "fragmentation-needed", mtuBytes },
        packet,
      );
      assertEquals(message.length, 8 + Math.min(packet.length, 548));
      assertEquals(message.slice(8), packet.slice(0, 548));
      assertEquals(internetChecksum(message), 0);
    },
  ));
});

Deno.test("only DF forbids fragmentation", () => {
  assertEquals(forbidsFragmentation(udp({ fragment: DF })), true);
  assertEquals(forbidsFragmentation(udp({ fragment: MF | 0x8000 | 5 })), false);
});
