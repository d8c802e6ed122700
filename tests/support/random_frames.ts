/**
 * Arbitraries of what may come in from the underlay or go out into the overlay:
 * mostly right, wrong in a few places.
 *
 * @module
 */

import fc from "fast-check";
import type { Ipv4 } from "../../net/ipv4.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import { ethernetFrame, outerPacket } from "./outer_packet.ts";
import {
  DF,
  ipv4Packet,
  MF,
  PROTOCOLS,
  somePayload,
  tcpPacket,
  udpPacket,
} from "./packet_builder.ts";
import { UNDERLAY } from "./program_world.ts";
import { sealIpHeader } from "./slow_packets.ts";

/** The addresses to choose from, the likely ones several times. */
export interface AddressChoice {
  readonly senders: readonly Ipv4[];
  readonly sources: readonly Ipv4[];
  readonly destinations: readonly Ipv4[];
}

/** One byte that becomes another one. */
interface Mutation {
  readonly offset: number;
  readonly value: number;
}

const ETHERNET_BYTES = 14;
const OUTER_BYTES = 28;
/** What a run of a program takes: Ethernet and an IPv4 header. */
const LEAST_BYTES = 34;
const IP_BYTES = 20;
const OTHER_MAC = "02:4c:6f:00:00:09";
const GROUP_MAC = "01:00:5e:00:00:01";
const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";

/** The first of them most of the time. */
function mostly<Value>(usual: Value, ...others: Value[]): fc.Arbitrary<Value> {
  return fc.oneof(
    { weight: 24, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );
}

/** Options that mean nothing, so that every host takes them. */
const options = fc.oneof(
  { weight: 4, arbitrary: fc.constant(new Uint8Array()) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1, max: 10 }).map((words) =>
      new Uint8Array(words * 4).fill(1)
    ),
  },
);

function overlayPacket(
  sources: readonly Ipv4[],
  destinations: readonly Ipv4[],
): fc.Arbitrary<Uint8Array> {
  return fc.record({
    source: fc.constantFrom(...sources),
    destination: fc.constantFrom(...destinations),
    id: fc.nat(65_535),
    tos: fc.nat(255),
    ttl: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 2, 64)),
    fragment: mostly(DF, 0, MF, 185, MF | 185),
    ipOptions: options,
    sourcePort: fc.nat(65_535),
    destinationPort: fc.nat(65_535),
    sequence: fc.nat(0xffff_ffff),
    bytes: fc.oneof(fc.nat(80), fc.nat(1_350)),
    protocol: fc.oneof(
      fc.constantFrom<number>(PROTOCOLS.tcp, PROTOCOLS.udp),
      fc.nat(255),
    ),
  }).map(({ bytes, protocol, ...fields }) => {
    const payload = somePayload(bytes, fields.id);
    if (protocol === PROTOCOLS.tcp) return tcpPacket({ ...fields, payload });
    if (protocol === PROTOCOLS.udp) return udpPacket({ ...fields, payload });
    return ipv4Packet(fields, protocol, payload);
  });
}

/** In the headers, often at the start of the overlay's, where most is looked at. */
function mutations(
  first: number,
  inner: number,
): fc.Arbitrary<readonly Mutation[]> {
  return fc.oneof(
    fc.constant([]),
    fc.array(
      fc.record({
        offset: fc.oneof(
          fc.integer({ min: first, max: first + 75 }),
          fc.integer({ min: inner, max: inner + 3 }),
        ),
        value: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x45, 255)),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  );
}

function mutate(bytes: Uint8Array, changes: readonly Mutation[]): Uint8Array {
  const copy = bytes.slice();
  for (const { offset, value } of changes) {
    if (offset < copy.length) copy[offset] = value;
  }
  return copy;
}

/** Makes the header checksum at `offset` right, if there is a whole header. */
export function sealAt(bytes: Uint8Array, offset: number): void {
  const packet = bytes.subarray(offset);
  const headerBytes = (packet[0] ?? 0) % 16 * 4;
  if (headerBytes >= IP_BYTES && headerBytes <= packet.length) {
    sealIpHeader(packet);
  }
}

/** A frame that arrives at the underlay device, 34 bytes or more. */
export function underlayFrames(
  { destinations, senders, sources }: AddressChoice,
): fc.Arbitrary<Uint8Array> {
  const payload = fc.oneof(
    { weight: 9, arbitrary: overlayPacket(sources, destinations) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }) },
    {
      weight: 1,
      arbitrary: fc.tuple(overlayPacket(sources, destinations), fc.nat(60))
        .map(([packet, bytes]) => packet.slice(0, bytes)),
    },
  );
  return fc.record({
    payload,
    sender: fc.constantFrom(...senders),
    destination: mostly(UNDERLAY.address, "192.0.2.77", "192.0.2.255"),
    port: mostly<number>(UNDERLAY.port, 8286, 53),
    sourcePort: fc.oneof(fc.constant(UNDERLAY.port), fc.nat(65_535)),
    protocol: mostly<number>(PROTOCOLS.udp, PROTOCOLS.tcp, 136),
    options,
    udpChecksum: fc.constantFrom<"none" | "right">("none", "right"),
    longerTotal: mostly(0, -1, 1, 8, -40),
    longerUdp: mostly(0, -1, 1, 8, -40),
    badHeaderChecksum: mostly(false, true),
    destinationMac: mostly<string>(
      UNDERLAY.mac,
      OTHER_MAC,
      GROUP_MAC,
      BROADCAST_MAC,
    ),
    vlans: mostly<number[]>([], [0], [7]),
    paddingBytes: fc.oneof(fc.constant(0), fc.nat(46)),
    missingBytes: mostly(0, 1, 8, 20),
    changes: mutations(ETHERNET_BYTES, ETHERNET_BYTES + OUTER_BYTES),
    seal: fc.constantFrom("none", "outer", "inner", "both"),
  }).map(({
    changes,
    destinationMac,
    longerTotal,
    longerUdp,
    missingBytes,
    paddingBytes,
    seal,
    sender,
    vlans,
    ...fields
  }) => {
    const udpBytes = 8 + fields.payload.length;
    const packet = outerPacket({
      ...fields,
      source: formatIpv4(sender),
      totalLength: IP_BYTES + fields.options.length + udpBytes + longerTotal &
        0xffff,
      udpLength: udpBytes + longerUdp & 0xffff,
    });
    const whole = ethernetFrame(packet, {
      sourceMac: OTHER_MAC,
      destinationMac,
      vlans,
      paddingBytes,
    });
    const bytes = Math.max(whole.length - missingBytes, LEAST_BYTES);
    const frame = mutate(whole.slice(0, bytes), changes);
    if (seal === "inner" || seal === "both") {
      sealAt(frame, ETHERNET_BYTES + OUTER_BYTES);
    }
    if (seal === "outer" || seal === "both") sealAt(frame, ETHERNET_BYTES);
    return frame;
  });
}

/** A packet that is routed into the overlay device, 20 bytes or more. */
export function hostPackets(
  { destinations, sources }: Omit<AddressChoice, "senders">,
): fc.Arbitrary<Uint8Array> {
  return fc.record({
    packet: overlayPacket(sources, destinations),
    changes: mutations(0, 0),
    seal: fc.boolean(),
    longer: mostly(0, -1, 1, 4, -20),
  }).map(({ changes, longer, packet, seal }) => {
    const bytes = Math.max(packet.length + longer, IP_BYTES);
    const cut = new Uint8Array(bytes);
    cut.set(packet.subarray(0, bytes));
    const changed = mutate(cut, changes);
    if (seal) sealAt(changed, 0);
    return changed;
  });
}
