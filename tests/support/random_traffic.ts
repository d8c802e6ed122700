/**
 * Traffic of a few flows with all that keeps packets from being merged.
 *
 * @module
 */

import fc from "fast-check";
import {
  DF,
  ipv4Packet,
  MF,
  PROTOCOLS,
  somePayload,
  TCP_FLAGS,
  tcpPacket,
  udpPacket,
} from "./packet_builder.ts";

/** What a packet has that its neighbours in the flow do not. */
const ODDITIES = [
  "none",
  "short",
  "long",
  "empty",
  "psh",
  "fin",
  "syn",
  "ece",
  "cwr",
  "urgent",
  "window",
  "acknowledgement",
  "options",
  "other options",
  "sequence",
  "id",
  "ttl",
  "tos",
  "may be fragmented",
  "fragment",
  "ip options",
  "bad checksum",
  "bad header checksum",
  "no checksum",
  "ttl 1",
  "truncated",
  "foreign source",
  "foreign destination",
  "icmp",
  "wrong udp length",
] as const;
type Oddity = typeof ODDITIES[number];

/** One packet of a flow. */
export interface TrafficStep {
  readonly flow: number;
  readonly oddity: Oddity;
}

const plain: fc.Arbitrary<Oddity> = fc.constant("none");

/** Long runs of plain packets, with something odd now and then. */
export const trafficSteps: fc.Arbitrary<TrafficStep[]> = fc.array(
  fc.tuple(
    fc.oneof(fc.nat(9), fc.constantFrom(0, 1, 5, 6)),
    fc.oneof(
      { weight: 3, arbitrary: plain },
      { weight: 1, arbitrary: fc.constantFrom(...ODDITIES) },
    ),
    fc.constantFrom(1, 1, 2, 3, 8, 40, 70),
  ),
  { maxLength: 24 },
).map((runs) =>
  runs.flatMap(([flow, oddity, repeat]) => [
    { flow, oddity },
    ...Array.from(
      { length: repeat - 1 },
      (): TrafficStep => ({ flow, oddity: "none" }),
    ),
  ])
);

interface FlowState {
  sequence: number;
  id: number;
}

/** Flows 0 to 4 are TCP, 5 to 9 UDP; even ones forbid fragmentation. */
export function trafficOf(steps: readonly TrafficStep[]): Uint8Array[] {
  const states = new Map<number, FlowState>();
  return steps.map(({ flow, oddity }, index) => {
    const state = states.get(flow) ??
      { sequence: 0xffff_ff00 + flow, id: 0xfff0 };
    states.set(flow, state);
    return packetOf(flow, oddity, state, index);
  });
}

function packetOf(
  flow: number,
  oddity: Oddity,
  state: FlowState,
  index: number,
): Uint8Array {
  const isTcp = flow < 5;
  const usual = 10 + flow * 37;
  const length = oddity === "short"
    ? usual - 3
    : oddity === "long"
    ? usual + 3
    : oddity === "empty"
    ? 0
    : usual;
  const forbids = flow % 2 === 0 && oddity !== "may be fragmented";
  const header = {
    source: oddity === "foreign source" ? 0x0a010305 : 0x0a010205,
    destination: oddity === "foreign destination" ? 0x0a010305 : 0x0a010107,
    ttl: oddity === "ttl" ? 33 : oddity === "ttl 1" ? 1 : 62,
    tos: oddity === "tos" ? 0x03 : 0,
    id: oddity === "id" ? state.id + 5 & 0xffff : state.id,
    fragment: oddity === "fragment" ? MF : forbids ? DF : 0,
    // Each UDP flow has the ports of a TCP flow.
    sourcePort: 1000 + flow % 5,
    destinationPort: 80,
    payload: somePayload(length, index),
    ...(oddity === "ip options"
      ? { ipOptions: new Uint8Array(4).fill(1) }
      : {}),
  };
  state.id = (state.id + 1) & 0xffff;
  if (oddity === "icmp") {
    return ipv4Packet(header, PROTOCOLS.icmp, new Uint8Array(16));
  }
  let packet: Uint8Array;
  if (isTcp) {
    const { ack, psh, fin, syn, ece, cwr, urg } = TCP_FLAGS;
    const flags: Partial<Record<Oddity, number>> = {
      psh,
      fin,
      syn,
      ece,
      cwr,
      urgent: urg,
    };
    packet = tcpPacket({
      ...header,
      sequence: oddity === "sequence"
        ? (state.sequence + 1) >>> 0
        : state.sequence,
      acknowledgement: oddity === "acknowledgement" ? 77 : 5,
      window: oddity === "window" ? 9 : 512,
      urgent: oddity === "urgent" ? 3 : 0,
      flags: ack | (flags[oddity] ?? 0),
      ...(oddity === "options" || flow === 3
        ? { options: new Uint8Array(12).fill(1) }
        : {}),
      ...(oddity === "other options"
        ? { options: Uint8Array.of(...Array(11).fill(1), 0) }
        : {}),
    });
    state.sequence = (state.sequence + length) >>> 0;
  } else {
    packet = udpPacket({
      ...header,
      withoutChecksum: oddity === "no checksum",
    });
    if (oddity === "wrong udp length") packet[25]! ^= 1;
  }
  if (oddity === "bad checksum") packet[packet.length - 1]! ^= 0x40;
  if (oddity === "bad header checksum") packet[11]! ^= 1;
  return oddity === "truncated" ? packet.slice(0, -1) : packet;
}
