import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { address, KernelWorld } from "../../../../support/kernel_world.ts";
import {
  somePayload,
  type TcpFields,
  tcpPacket,
  udpPacket,
} from "../../../../support/packet_builder.ts";
import { GSO_NONE, oneHopOn } from "../../../../support/slow_packets.ts";
import { unfinishedTcpPacket } from "../../../../support/unfinished_packet.ts";

const PEER = "192.0.2.2";
/** The overlay's MTU less the headers of IPv4 and TCP. */
const FULL_BYTES = 1_472 - 40;

const fields = (payloadBytes: number): TcpFields => ({
  source: address("10.1.2.5"),
  destination: address("10.1.1.7"),
  sourcePort: 4000,
  destinationPort: 80,
  sequence: 7,
  payload: somePayload(payloadBytes),
});
const finished = (payloadBytes: number, changes: Partial<TcpFields> = {}) =>
  tcpPacket({ ...fields(payloadBytes), ...changes });
const unfinished = (payloadBytes: number, changes: Partial<TcpFields> = {}) =>
  unfinishedTcpPacket(finished(payloadBytes, changes));

function receive(datagram: Uint8Array, sender = PEER) {
  const world = new KernelWorld();
  const records = world.receive({
    sender: address(sender),
    datagrams: [datagram],
  });
  return { records, counters: world.counters() };
}

for (const payloadBytes of [FULL_BYTES + 1, 2 * FULL_BYTES, 65_507 - 40]) {
  Deno.test(`a probe of ${payloadBytes} bytes is dropped and counted`, () => {
    assertEquals(receive(unfinished(payloadBytes)), {
      records: [],
      counters: { "rx.legacySignals": 1 },
    });
  });
}

/** What is not a probe is delivered, byte for byte. */
const DELIVERED: readonly [string, Uint8Array][] = [
  ["of the overlay's MTU", unfinished(FULL_BYTES)],
  ["without a payload", unfinished(0)],
  ["with IP options", unfinished(5_000, { ipOptions: new Uint8Array(4) })],
  ["with a finished checksum", finished(5_000)],
  ["of UDP", udpPacket({ ...fields(5_000), withoutChecksum: true })],
];
for (const [what, packet] of DELIVERED) {
  Deno.test(`a packet ${what} is no probe, and its checksum stays`, () => {
    const { counters, records } = receive(packet);
    assertEquals(records.map(({ packet }) => packet), [oneHopOn(packet)]);
    assertEquals(records[0]!.vnet.needsChecksum, false);
    assertEquals(counters, { "rx.packets": 1, "rx.bytes": packet.length });
  });
}

Deno.test("no damaged TCP packet gets a good checksum, whatever its checksum is", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: FULL_BYTES }),
      fc.oneof(fc.constant(undefined), fc.integer({ min: 0, max: 0xffff })),
      (payloadBytes, checksum) => {
        const packet = unfinished(payloadBytes);
        if (checksum !== undefined) {
          new DataView(packet.buffer).setUint16(36, checksum);
        }
        const { records } = receive(packet);
        assertEquals(records.map(({ packet }) => packet), [oneHopOn(packet)]);
        const { gsoType, needsChecksum } = records[0]!.vnet;
        assertEquals([gsoType, needsChecksum], [GSO_NONE, false]);
      },
    ),
    { numRuns: 200 },
  );
});

/** Probes that may not enter are counted as any other packet. */
const REFUSED: readonly [string, Uint8Array, string, string][] = [
  ["a stranger", unfinished(5_000), "192.0.2.99", "rx.drop.unknownSender"],
  ["another peer", unfinished(5_000), "192.0.2.3", "rx.drop.wrongSource"],
  [
    "a peer to another host's container",
    unfinished(5_000, { destination: address("10.1.3.5") }),
    PEER,
    "rx.drop.wrongDestination",
  ],
];
for (const [whose, packet, sender, counter] of REFUSED) {
  Deno.test(`a probe of ${whose} is dropped as ${counter}`, () => {
    assertEquals(receive(packet, sender), {
      records: [],
      counters: { [counter]: 1 },
    });
  });
}
