/**
 * Arbitraries of packets, for properties.
 *
 * @module
 */

import fc from "fast-check";
import {
  DF,
  pseudoHeaderSum,
  somePayload,
  TCP_FLAGS,
  tcpPacket,
  udpPacket,
} from "./packet_builder.ts";
import {
  GSO_ECN,
  GSO_TCPV4,
  GSO_UDP_L4,
  type VnetHeader,
} from "./slow_packets.ts";

/** A packet as a TUN device hands it over. */
export interface TunPacket {
  readonly vnet: VnetHeader;
  readonly packet: Uint8Array;
}

/** Option bytes that a parser can step over: no-operations. */
export const optionBytes: fc.Arbitrary<Uint8Array> = fc.nat(10).map((words) =>
  new Uint8Array(words * 4).fill(1)
);

const ports = {
  sourcePort: fc.integer({ min: 1, max: 65535 }),
  destinationPort: fc.integer({ min: 1, max: 65535 }),
};

const header = {
  id: fc.oneof(fc.nat(65535), fc.constantFrom(0xffff, 0xfffe)),
  tos: fc.nat(255),
  ttl: fc.integer({ min: 2, max: 255 }),
  fragment: fc.constantFrom(0, DF),
  ipOptions: optionBytes,
};

/** From the own subnet to the first peer's. */
const addresses = {
  source: fc.integer({ min: 0x0a010101, max: 0x0a0101fe }),
  destination: fc.integer({ min: 0x0a010201, max: 0x0a0102fe }),
};

const tcpFields = fc.record({
  ...addresses,
  ...header,
  ...ports,
  sequence: fc.oneof(
    fc.nat(0xffffffff),
    fc.integer({ min: 0xffff0000, max: 0xffffffff }),
  ),
  acknowledgement: fc.nat(0xffffffff),
  flags: fc.nat(255).map((flags) => flags | TCP_FLAGS.ack),
  window: fc.nat(65535),
  urgent: fc.nat(65535),
  options: optionBytes,
});

const udpFields = fc.record({ ...addresses, ...header, ...ports });

/** What is cut, and the bytes of each piece: many small ones or some usual ones. */
const cuts = fc.oneof(
  fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 64 })),
  fc.tuple(
    fc.oneof(fc.integer({ min: 400, max: 8_000 }), fc.constant(60_000)),
    fc.integer({ min: 500, max: 1_460 }),
  ),
);

const payloads = fc.tuple(fc.integer({ min: 1, max: 1_500 }), fc.nat(255))
  .map(([length, seed]) => somePayload(length, seed));

/** A super-packet of TCP, its checksum left to segmentation. */
export const tcpSuper: fc.Arbitrary<TunPacket> = fc.tuple(
  tcpFields,
  cuts,
  fc.boolean(),
).map(([fields, [length, gsoBytes], ecn]) =>
  superPacket(
    tcpPacket({ ...fields, payload: somePayload(length, fields.id) }),
    16,
    gsoBytes,
    GSO_TCPV4 | (ecn ? GSO_ECN : 0),
  )
);

/** The same of UDP. */
export const udpSuper: fc.Arbitrary<TunPacket> = fc.tuple(
  udpFields,
  cuts,
).map(([fields, [length, gsoBytes]]) =>
  superPacket(
    udpPacket({ ...fields, payload: somePayload(length, fields.id) }),
    6,
    gsoBytes,
    GSO_UDP_L4,
  )
);

/** One packet whose checksum is still to be completed. */
export const unfinished: fc.Arbitrary<TunPacket> = fc.oneof(
  fc.tuple(tcpFields, payloads).map(([fields, payload]) =>
    partial(tcpPacket({ ...fields, payload }), 16)
  ),
  fc.tuple(udpFields, payloads).map(([fields, payload]) =>
    partial(udpPacket({ ...fields, payload }), 6)
  ),
);

function superPacket(
  packet: Uint8Array,
  checksumOffset: number,
  gsoBytes: number,
  gsoType: number,
): TunPacket {
  const { vnet } = partial(packet, checksumOffset);
  const transport = vnet.checksumStart;
  const transportBytes = checksumOffset === 16
    ? (packet[transport + 12]! >> 4) * 4
    : 8;
  return {
    vnet: {
      ...vnet,
      gsoType,
      gsoBytes,
      headerBytes: transport + transportBytes,
    },
    packet,
  };
}

/** Leaves the pseudo header's sum where the checksum will be. */
function partial(packet: Uint8Array, checksumOffset: number): TunPacket {
  const start = (packet[0]! & 15) * 4;
  const sum = pseudoHeaderSum(packet, packet.length - start);
  packet[start + checksumOffset] = sum >> 8;
  packet[start + checksumOffset + 1] = sum & 255;
  return {
    vnet: {
      needsChecksum: true,
      gsoType: 0,
      headerBytes: 0,
      gsoBytes: 0,
      checksumStart: start,
      checksumOffset,
    },
    packet,
  };
}
