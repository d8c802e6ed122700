/**
 * One table of packets and what becomes of them, for every data path.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { SenderCheck } from "../../backend/udp/data_path.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import { address, peer } from "../support/kernel_world.ts";
import {
  ethernetFrame,
  fragmentsOf,
  type FrameOptions,
  type OuterPacket,
  outerPacket,
} from "../support/outer_packet.ts";
import {
  DF,
  ipv4Packet,
  MF,
  somePayload,
  tcpPacket,
  type UdpFields,
  udpPacket,
} from "../support/packet_builder.ts";
import {
  type PacketPath,
  type Surroundings,
  surroundings,
} from "../support/packet_paths.ts";
import { UNDERLAY } from "../support/program_world.ts";
import { sealIpHeader } from "../support/slow_packets.ts";
import { unfinishedTcpPacket } from "../support/unfinished_packet.ts";

/** Whose table it is. */
export type PathKind = "userSpace" | "programs";

/** One outcome, or two where `path_differences.ts` says why. */
type Outcome = string | Readonly<Record<PathKind, string>>;

/** A frame that arrives. */
export interface ReceivedRow {
  readonly name: string;
  readonly frame: Uint8Array;
  readonly outcome: Outcome;
  readonly senderCheck?: SenderCheck;
  /** Where other counters than the outcome's tell something. */
  readonly counters?: Readonly<Record<string, number>>;
  /**
   * What the programs do at once: the ingress program leaves the frame to the
   * host, or the XDP program takes the outer headers off already.
   */
  readonly programs?: "leave" | "strip";
  /**
   * What they do on a wire, if that is not what they do in a test run: the kernel
   * takes a tag out of the frame before it runs them.
   */
  readonly onWire?: "delivered";
}

/** A packet that the host routes into the overlay device. */
export interface SentRow {
  readonly name: string;
  readonly packet: Uint8Array;
  readonly outcome: Outcome;
  /** Dotted quad; of one that is sent. */
  readonly peer?: string;
}

/** Three holders; the last one's subnet lies in the first one's. */
export const HOLDERS = [
  peer("10.1.2.0/24", "192.0.2.2"),
  peer("10.1.3.0/24", "192.0.2.3"),
  peer("10.1.2.128/25", "192.0.2.4"),
];

const NO_OPERATIONS = new Uint8Array(4).fill(1);
const OTHER_MAC = "02:4c:6f:00:00:09";

type InnerFields = Partial<Omit<UdpFields, "source" | "destination">> & {
  readonly source?: string;
  readonly destination?: string;
};

/** From the first holder's subnet to ours, unless told otherwise. */
export function inner(fields: InnerFields = {}): Uint8Array {
  return udpPacket({
    sourcePort: 1000,
    destinationPort: 2000,
    payload: somePayload(40),
    ...fields,
    source: address(fields.source ?? "10.1.2.5"),
    destination: address(fields.destination ?? "10.1.1.7"),
  });
}

/** The same the other way. */
export function outgoing(fields: InnerFields = {}): Uint8Array {
  return inner({ source: "10.1.1.7", destination: "10.1.2.5", ...fields });
}

/** A frame for the underlay device with a packet of the overlay in it. */
export function arriving(
  payload: Uint8Array,
  outer: Partial<OuterPacket> = {},
  frame: Partial<FrameOptions> = {},
): Uint8Array {
  return framed(
    outerPacket({
      source: "192.0.2.2",
      destination: UNDERLAY.address,
      port: UNDERLAY.port,
      payload,
      ...outer,
    }),
    frame,
  );
}

/** Changes bytes, then makes the header checksum right or leaves it wrong. */
export function patched(
  packet: Uint8Array,
  offset: number,
  bytes: readonly number[],
  seal: "seal" | "leave" = "seal",
): Uint8Array {
  const copy = packet.slice();
  copy.set(bytes, offset);
  if (seal === "seal") sealIpHeader(copy);
  return copy;
}

function framed(
  packet: Uint8Array,
  options: Partial<FrameOptions> = {},
): Uint8Array {
  return ethernetFrame(packet, {
    sourceMac: OTHER_MAC,
    destinationMac: UNDERLAY.mac,
    ...options,
  });
}

/** An inner packet with another total length. */
function longer(bytes: number): Uint8Array {
  const packet = inner();
  const length = packet.length + bytes;
  return patched(packet, 2, [length >> 8, length & 0xff]);
}

const [TTL, PROTOCOL, CHECKSUM] = [8, 9, 10];
const WHOLE = inner();
const TTL_SPENT = { userSpace: "rx.drop.ttl", programs: "delivered" };
const MARTIAN = { userSpace: "left", programs: "rx.drop.unknownSender" };
const LENGTHS = { userSpace: "left", programs: "rx.drop.badLength" };
const tcp = (payloadBytes: number) =>
  tcpPacket({
    source: address("10.1.2.5"),
    destination: address("10.1.1.7"),
    sourcePort: 1,
    destinationPort: 2,
    sequence: 1,
    payload: somePayload(payloadBytes),
  });
const TCP = tcp(33);
const LARGE_TCP = tcp(2_000);
/** No IP packet, "Lo", version 1, and the first address of 10.1.2.0/24. */
const RECEIPT = Uint8Array.fromHex("004c6f010a010200");
const LEGACY = "rx.legacySignals";
const [firstFragment, lastFragment] = fragmentsOf(
  outerPacket({
    source: "192.0.2.2",
    destination: UNDERLAY.address,
    port: UNDERLAY.port,
    payload: WHOLE,
  }),
  40,
) as [Uint8Array, Uint8Array];

const good = (name: string, frame: Uint8Array): ReceivedRow => ({
  name,
  frame,
  outcome: "delivered",
  programs: "strip",
});
const judged = (
  name: string,
  outcome: Outcome,
  frame: Uint8Array,
  senderCheck?: SenderCheck,
  counters?: Readonly<Record<string, number>>,
): ReceivedRow => ({
  name,
  frame,
  outcome,
  ...(senderCheck && { senderCheck }),
  ...(counters && { counters }),
});
const beside = (
  name: string,
  outcome: Outcome,
  frame: Uint8Array,
): ReceivedRow => ({ name, frame, outcome, programs: "leave" });

/** The table of the way in. */
export const RECEIVED: readonly ReceivedRow[] = [
  good("a UDP packet", arriving(WHOLE)),
  good("a TCP packet", arriving(TCP)),
  good(
    "an ICMP packet",
    arriving(ipv4Packet(
      { source: address("10.1.2.5"), destination: address("10.1.1.7") },
      1,
      Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0, 0),
    )),
  ),
  good("a packet of 20 bytes", arriving(header())),
  good(
    "a packet of 1472 bytes",
    arriving(inner({ payload: somePayload(1444) })),
  ),
  good(
    "a packet in a padded frame",
    arriving(header(), {}, { paddingBytes: 18 }),
  ),
  good("a first inner fragment", arriving(inner({ fragment: MF }))),
  good("a later inner fragment", arriving(inner({ fragment: 5 }))),
  good(
    "an inner UDP checksum that is wrong",
    arriving(patched(WHOLE, 26, [1])),
  ),
  good("an outer UDP checksum", arriving(WHOLE, { udpChecksum: "right" })),
  good("another source port", arriving(WHOLE, { sourcePort: 4096 })),
  good(
    "a packet for the subnet's first address",
    arriving(inner({ destination: "10.1.1.0" })),
  ),
  good(
    "a packet for the subnet's last address",
    arriving(inner({ destination: "10.1.1.255" })),
  ),
  good(
    "a packet from a subnet inside another, of its holder",
    arriving(inner({ source: "10.1.2.200" }), { source: "192.0.2.4" }),
  ),
  judged(
    "inner IP options",
    "delivered",
    arriving(inner({ ipOptions: NO_OPERATIONS })),
  ),
  judged(
    "40 bytes of inner IP options",
    "delivered",
    arriving(inner({ ipOptions: new Uint8Array(40).fill(1) })),
  ),
  judged(
    "inner IP options with a wrong checksum",
    "rx.drop.badChecksum",
    arriving(
      patched(inner({ ipOptions: NO_OPERATIONS }), 22, [7], "leave"),
    ),
  ),
  judged("an empty datagram", "rx.drop.empty", arriving(new Uint8Array())),
  judged("one byte", "rx.drop.short", arriving(WHOLE.slice(0, 1))),
  judged("19 bytes", "rx.drop.short", arriving(WHOLE.slice(0, 19))),
  judged(
    "19 bytes in a padded frame",
    "rx.drop.short",
    arriving(WHOLE.slice(0, 19), {}, { paddingBytes: 18 }),
  ),
  judged("a receipt of an earlier version", LEGACY, arriving(RECEIPT)),
  judged(
    "a receipt in a padded frame",
    LEGACY,
    arriving(RECEIPT, {}, { paddingBytes: 10 }),
  ),
  judged(
    "a receipt of a sender without a lease",
    LEGACY,
    arriving(RECEIPT, { source: "192.0.2.99" }),
  ),
  judged(
    "a receipt that ends early",
    "rx.drop.short",
    arriving(RECEIPT.subarray(0, 7), {}, { paddingBytes: 11 }),
  ),
  judged(
    "a receipt with a byte more",
    "rx.drop.short",
    arriving(Uint8Array.of(...RECEIPT, 0)),
  ),
  judged(
    "eight bytes that are no receipt",
    "rx.drop.short",
    arriving(Uint8Array.fromHex("004c6f020a010200")),
  ),
  good(
    "a TCP checksum that is the pseudo header's sum",
    arriving(unfinishedTcpPacket(TCP)),
  ),
  {
    ...good(
      "such a packet that is larger than the overlay's MTU, as a probe is",
      arriving(unfinishedTcpPacket(LARGE_TCP)),
    ),
    outcome: { userSpace: LEGACY, programs: "delivered" },
  },
  judged("IPv6", "rx.drop.notIpv4", arriving(patched(WHOLE, 0, [0x65]))),
  judged("version 0", "rx.drop.notIpv4", arriving(patched(WHOLE, 0, [0x05]))),
  judged(
    "a header of 16 bytes",
    "rx.drop.badHeader",
    arriving(patched(WHOLE, 0, [0x44])),
  ),
  judged(
    "a header that is longer than the packet",
    "rx.drop.badHeader",
    arriving(patched(header(), 0, [0x46])),
  ),
  judged("a byte too many", "rx.drop.badLength", arriving(longer(-1))),
  judged("a byte too few", "rx.drop.badLength", arriving(longer(1))),
  judged(
    "a byte too few, which the frame's padding has",
    "rx.drop.badLength",
    arriving(longer(1), {}, { paddingBytes: 1 }),
  ),
  judged(
    "a wrong header checksum",
    "rx.drop.badChecksum",
    arriving(patched(WHOLE, CHECKSUM, [WHOLE[CHECKSUM]! ^ 1], "leave")),
  ),
  judged(
    "a sender without a lease",
    "rx.drop.unknownSender",
    arriving(WHOLE, { source: "192.0.2.99" }),
  ),
  judged(
    "a source that belongs to another holder",
    "rx.drop.wrongSource",
    arriving(WHOLE, { source: "192.0.2.3" }),
  ),
  judged(
    "a source in a smaller subnet of another holder",
    "rx.drop.wrongSource",
    arriving(inner({ source: "10.1.2.200" })),
  ),
  judged(
    "a source in this host's own subnet",
    "rx.drop.wrongSource",
    arriving(inner({ source: "10.1.1.9" })),
  ),
  judged(
    "a source outside the network",
    "rx.drop.wrongSource",
    arriving(inner({ source: "203.0.113.1" })),
  ),
  judged(
    "a source without a lease, from a sender without a lease",
    "rx.drop.unknownSender",
    arriving(inner({ source: "10.1.77.1" }), { source: "192.0.2.99" }),
  ),
  judged(
    "a sender without a lease, counted",
    "delivered",
    arriving(WHOLE, { source: "192.0.2.99" }),
    "count",
    {
      "rx.packets": 1,
      "rx.bytes": WHOLE.length,
      "rx.senderMismatchPassed": 1,
    },
  ),
  judged(
    "a holder's own packet, where mismatches are counted",
    "delivered",
    arriving(WHOLE),
    "count",
    { "rx.packets": 1, "rx.bytes": WHOLE.length },
  ),
  judged(
    "a sender without a lease, without a sender check",
    "delivered",
    arriving(WHOLE, { source: "192.0.2.99" }),
    "off",
    { "rx.packets": 1, "rx.bytes": WHOLE.length },
  ),
  ...(["strict", "count", "off"] as const).map((senderCheck) =>
    judged(
      `a destination of another host, with the sender check ${senderCheck}`,
      "rx.drop.wrongDestination",
      arriving(inner({ destination: "10.1.2.7" })),
      senderCheck,
    )
  ),
  ...["10.1.0.255", "255.255.255.255", "224.0.0.1", "127.0.0.1"].map((
    destination,
  ) =>
    judged(
      `the destination ${destination}`,
      "rx.drop.wrongDestination",
      arriving(inner({ destination })),
    )
  ),
  { ...good("a TTL of 2", arriving(inner({ ttl: 2 }))) },
  { ...good("a TTL of 1", arriving(inner({ ttl: 1 }))), outcome: TTL_SPENT },
  { ...good("a TTL of 0", arriving(inner({ ttl: 0 }))), outcome: TTL_SPENT },
  judged(
    "a sender without a lease and a TTL of 1",
    "rx.drop.unknownSender",
    arriving(inner({ ttl: 1 }), { source: "192.0.2.99" }),
  ),
  {
    ...good(
      "a wrong outer UDP checksum",
      framed(patched(
        outerPacket({
          source: "192.0.2.2",
          destination: UNDERLAY.address,
          port: UNDERLAY.port,
          payload: WHOLE,
        }),
        26,
        [1],
      )),
    ),
    outcome: { userSpace: "left", programs: "delivered" },
  },
  judged(
    "an outer total length beyond the frame",
    LENGTHS,
    arriving(WHOLE, { totalLength: WHOLE.length + 29 }),
  ),
  judged(
    "a frame that ends before the packets in it say",
    LENGTHS,
    arriving(longer(1), {
      totalLength: WHOLE.length + 29,
      udpLength: WHOLE.length + 9,
    }),
  ),
  judged(
    "outer lengths that both leave out a byte of the UDP header",
    LENGTHS,
    arriving(patched(WHOLE, 0, [0x65]), { totalLength: 27, udpLength: 7 }),
  ),
  judged(
    "an outer total length below its UDP header's",
    LENGTHS,
    arriving(WHOLE, { totalLength: WHOLE.length + 27 }),
  ),
  judged(
    "an outer total length without room for a UDP header",
    LENGTHS,
    arriving(WHOLE, { totalLength: 27 }),
  ),
  judged(
    "a UDP length beyond the packet",
    LENGTHS,
    arriving(WHOLE, { udpLength: WHOLE.length + 9 }),
  ),
  judged(
    "a UDP length of less than its header",
    LENGTHS,
    arriving(WHOLE, { udpLength: 7 }),
  ),
  judged(
    "a UDP length that ends with the packet in it",
    { userSpace: "delivered", programs: "rx.drop.badLength" },
    arriving(Uint8Array.of(...WHOLE, 0), { udpLength: WHOLE.length + 8 }),
  ),
  ...["192.0.2.1", "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"].map(
    (source) =>
      judged(
        `${source} as the sender`,
        MARTIAN,
        arriving(WHOLE, { source }),
      ),
  ),
  beside("a datagram to another port", "left", arriving(WHOLE, { port: 8286 })),
  beside(
    "a datagram for another host",
    "left",
    arriving(WHOLE, { destination: "192.0.2.7" }),
  ),
  beside("TCP to the port", "left", arriving(WHOLE, { protocol: 6 })),
  beside(
    "a frame for another device",
    "left",
    arriving(WHOLE, {}, { destinationMac: OTHER_MAC }),
  ),
  beside(
    "a broadcast frame",
    "delivered",
    arriving(WHOLE, {}, { destinationMac: "ff:ff:ff:ff:ff:ff" }),
  ),
  beside(
    "a frame of a VLAN",
    "left",
    arriving(WHOLE, {}, { vlans: [7] }),
  ),
  ...[WHOLE, TCP].map((packet): ReceivedRow => ({
    ...beside(
      `a frame with a priority and ${packet === TCP ? "TCP" : "UDP"}`,
      "delivered",
      arriving(packet, {}, { vlans: [0] }),
    ),
    onWire: "delivered",
  })),
  beside("a first outer fragment", "left", framed(firstFragment)),
  beside("a last outer fragment", "left", framed(lastFragment)),
  beside(
    "outer IP options",
    "delivered",
    arriving(WHOLE, { options: NO_OPERATIONS }),
  ),
  beside(
    "outer IP options of a sender without a lease",
    "rx.drop.unknownSender",
    arriving(WHOLE, { options: NO_OPERATIONS, source: "192.0.2.99" }),
  ),
  beside(
    "a wrong outer header checksum",
    "left",
    arriving(WHOLE, { badHeaderChecksum: true }),
  ),
  beside(
    "an outer header of 16 bytes",
    "left",
    framed(patched(arriving(WHOLE).slice(14), 0, [0x44])),
  ),
  beside(
    "an outer packet that is not IPv4",
    "left",
    framed(patched(arriving(WHOLE).slice(14), 0, [0x65])),
  ),
  beside(
    "an ARP frame",
    "left",
    patched(arriving(WHOLE), 12, [0x08, 0x06], "leave"),
  ),
];

const NOT_SENT = { userSpace: "tx.drop.ttl", programs: "sent" };
const sent = (name: string, packet: Uint8Array, peer = "192.0.2.2") => ({
  name,
  packet,
  outcome: "sent",
  peer,
});
const refused = (name: string, outcome: string, packet: Uint8Array) => ({
  name,
  packet,
  outcome,
});

/** The table of the way out. */
export const SENT: readonly SentRow[] = [
  sent("a UDP packet", outgoing()),
  sent("a packet of 20 bytes", header(outgoing())),
  sent("a packet of 1472 bytes", outgoing({ payload: somePayload(1444) })),
  sent(
    "a packet to another holder",
    outgoing({ destination: "10.1.3.255" }),
    "192.0.2.3",
  ),
  sent(
    "a packet to a subnet inside another",
    outgoing({ destination: "10.1.2.128" }),
    "192.0.2.4",
  ),
  sent(
    "a packet to the last address before a subnet inside another",
    outgoing({ destination: "10.1.2.127" }),
  ),
  sent("a packet of no protocol", patched(outgoing(), PROTOCOL, [255])),
  sent("IP options", outgoing({ ipOptions: NO_OPERATIONS })),
  sent("a first fragment", outgoing({ fragment: MF })),
  sent("a later fragment", outgoing({ fragment: 9 })),
  sent("a packet with DF", outgoing({ fragment: DF })),
  sent("any source", outgoing({ source: "203.0.113.9" })),
  sent(
    "a wrong header checksum, which the receiver drops",
    patched(outgoing(), CHECKSUM, [0, 0], "leave"),
  ),
  refused("a subnet without a lease", "tx.drop.noPeer", to("10.1.4.1")),
  refused("this host's subnet", "tx.drop.noPeer", to("10.1.1.9")),
  refused("outside the network", "tx.drop.noPeer", to("203.0.113.1")),
  refused("broadcast", "tx.drop.noPeer", to("255.255.255.255")),
  refused("multicast", "tx.drop.noPeer", to("224.0.0.251")),
  refused("IPv6", "tx.drop.notIpv4", patched(outgoing(), 0, [0x65])),
  refused(
    "a header of 16 bytes",
    "tx.drop.badHeader",
    patched(outgoing(), 0, [0x44]),
  ),
  refused(
    "a header that is longer than the packet",
    "tx.drop.badHeader",
    patched(header(outgoing()), 0, [0x46]),
  ),
  refused(
    "a total length below the packet's",
    "tx.drop.badHeader",
    patched(outgoing(), 3, [67]),
  ),
  refused(
    "a total length beyond the packet's",
    "tx.drop.badHeader",
    patched(outgoing(), 3, [69]),
  ),
  sent("a TTL of 2", patched(outgoing(), TTL, [2])),
  { ...sent("a TTL of 1", patched(outgoing(), TTL, [1])), outcome: NOT_SENT },
  { ...sent("a TTL of 0", patched(outgoing(), TTL, [0])), outcome: NOT_SENT },
];

/** Registers the tests of both tables; `makePath` is asked for each of them. */
export function packetFatesContract(
  implementation: string,
  kind: PathKind,
  makePath: (surroundings: Surroundings) => PacketPath,
): void {
  const of = (outcome: Outcome) =>
    typeof outcome === "string" ? outcome : outcome[kind];

  for (const row of RECEIVED) {
    const outcome = of(row.outcome);
    const counted = row.counters === undefined
      ? outcome
      : `${outcome} with ${Object.keys(row.counters)}`;
    Deno.test(`${implementation}, in: ${row.name}: ${counted}`, () => {
      using path = makePath(surroundings(HOLDERS, row.senderCheck));
      const fate = path.receive(row.frame);
      assertEquals(fate.outcome, outcome);
      if (row.counters !== undefined) assertEquals(fate.counters, row.counters);
    });
  }

  for (const row of SENT) {
    const outcome = of(row.outcome);
    Deno.test(`${implementation}, out: ${row.name}: ${outcome}`, () => {
      using path = makePath(surroundings(HOLDERS));
      const fate = path.send(row.packet);
      assertEquals(fate.outcome, outcome);
      assertEquals(
        fate.peer && formatIpv4(fate.peer),
        outcome === "sent" ? row.peer : undefined,
      );
    });
  }
}

/** Only the header of a packet, as a whole packet. */
function header(packet: Uint8Array = WHOLE): Uint8Array {
  return patched(packet.slice(0, 20), 2, [0, 20]);
}

function to(destination: string): Uint8Array {
  return outgoing({ destination });
}
