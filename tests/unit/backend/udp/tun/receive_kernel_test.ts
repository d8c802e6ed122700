import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import * as layout from "../../../../../backend/udp/tun/layout.ts";
import { somePayload, udpPacket } from "../../../../support/packet_builder.ts";
import { byFlow } from "../../../../support/flow_order.ts";
import {
  address,
  KernelWorld,
  network,
  OWN_SUBNET,
  PEERS,
  type Received,
  type TunRecord,
} from "../../../../support/kernel_world.ts";
import {
  trafficOf,
  type TrafficStep,
  trafficSteps,
} from "../../../../support/random_traffic.ts";
import {
  type AdmissionRules,
  fateOf,
  formatVnetHeader,
  GSO_NONE,
  hasRightChecksums,
  oneHopOn,
  segment,
} from "../../../../support/slow_packets.ts";

const SENDER = address("192.0.2.2");
const RULES: AdmissionRules = {
  peers: PEERS,
  subnet: network(OWN_SUBNET),
  senderCheck: "strict",
};

/** As UDP GRO hands datagrams over: equal ones at once, a shorter one last. */
function gro(datagrams: readonly Uint8Array[]): Received[] {
  const batches: Uint8Array[][] = [];
  let open = false;
  for (const datagram of datagrams) {
    const batch = batches.at(-1);
    const first = batch?.[0];
    if (
      batch && first && open && batch.length < layout.MAX_SEGMENTS &&
      datagram.length > 0 && datagram.length <= first.length
    ) batch.push(datagram);
    else batches.push([datagram]);
    open = datagram.length === batches.at(-1)![0]!.length;
  }
  return batches.map((datagrams) => ({ sender: SENDER, datagrams }));
}

/** The packets that the host's kernel takes out of what is written to the TUN. */
function segments(records: readonly TunRecord[]): Uint8Array[] {
  return records.flatMap(({ vnet, packet }) => segment(vnet, packet));
}

function countFates(
  datagrams: readonly Uint8Array[],
  rules = RULES,
): { [counter: string]: number } {
  const fates: { [counter: string]: number } = {};
  for (const datagram of datagrams) {
    const fate = fateOf(datagram, SENDER, rules);
    fates[fate] = (fates[fate] ?? 0) + 1;
    if (fate === "rx.packets") {
      fates["rx.bytes"] = (fates["rx.bytes"] ?? 0) + datagram.length;
    }
  }
  return fates;
}

/** Receives traffic and compares all that can be seen with the slow rules. */
function check(datagrams: readonly Uint8Array[], world = new KernelWorld()) {
  const records = world.receive(...gro(datagrams));
  const admitted = datagrams
    .filter((datagram) => fateOf(datagram, SENDER, RULES) === "rx.packets")
    .map(oneHopOn);
  const delivered = segments(records);
  assertEquals(byFlow(delivered), byFlow(admitted));
  for (const { vnet, packet, packets } of records) {
    assertEquals(segment(vnet, packet).length, packets);
    assert(packets <= layout.MAX_SEGMENTS && packet.length <= 65_535);
    if (vnet.gsoType === GSO_NONE) {
      assert(!vnet.needsChecksum);
    } else {
      assertEquals(vnet.checksumStart, 20);
      assert(segment(vnet, packet).every(hasRightChecksums));
    }
  }
  const { "rx.superPackets": superPackets = 0, ...counters } = world
    .counters();
  assertEquals(counters, countFates(datagrams));
  assertEquals(
    superPackets,
    records.filter(({ vnet }) => vnet.gsoType !== GSO_NONE).length,
  );
  return records;
}

const fit = (datagrams: readonly Uint8Array[]) =>
  datagrams.length <= layout.RX_MAX_RECORDS;

Deno.test("whatever is received is delivered in each flow's order, byte for byte, or counted", () => {
  fc.assert(
    fc.property(trafficSteps, (steps) => {
      const datagrams = trafficOf(steps);
      fc.pre(fit(datagrams));
      check(datagrams);
    }),
    { numRuns: 250 },
  );
});

const run = (
  flow: number,
  count: number,
  oddity: TrafficStep["oddity"] = "none",
): TrafficStep[] => Array.from({ length: count }, () => ({ flow, oddity }));

/** How many packets each write to the TUN has. */
const shape = (records: readonly TunRecord[]) =>
  records.map(({ packets }) => packets);

Deno.test("packets of one flow become one super-packet, TCP and UDP alike", () => {
  for (const flow of [0, 1, 3, 5, 6]) {
    assertEquals(shape(check(trafficOf(run(flow, 64)))), [64], `flow ${flow}`);
  }
});

Deno.test("a TCP super-packet is written with known bytes", () => {
  const world = new KernelWorld();
  const [record] = world.receive({
    sender: SENDER,
    datagrams: [
      "4500002b000540003e0625bb0a0102050a01010710000050000000010000000950100200c2070000616263",
      "4500002b000640003e0625ba0a0102050a01010710000050000000040000000950180200bbf90000646566",
    ].map((text) => Uint8Array.fromHex(text)),
  });
  assertEquals(formatVnetHeader(record!.vnet).toHex(), "01012800030014001000");
  assertEquals(
    record!.packet.toHex(),
    "4500002e000540003d0626b80a0102050a01010710000050000000010000000950180200172e0000616263646566",
  );
});

Deno.test("flows that alternate are merged each for itself, up to eight at once", () => {
  const alternating = (flows: number[]) =>
    Array.from({ length: 5 }, () => flows.flatMap((flow) => run(flow, 1)))
      .flat();
  const eight = [0, 1, 2, 3, 4, 5, 6, 7];
  assertEquals(shape(check(trafficOf(alternating(eight)))), Array(8).fill(5));
  // Nine in turn push one another out: nothing is merged and nothing is lost.
  const nine = shape(check(trafficOf(alternating([...eight, 8]))));
  assertEquals(nine, Array(45).fill(1));
});

/** An odd packet between plain ones of a TCP flow, and what is written then. */
const TCP_SHAPES: readonly [TrafficStep["oddity"], number[]][] = [
  ["short", [4, 3]],
  ["long", [3, 4]],
  ["empty", [3, 1, 3]],
  ["psh", [4, 3]],
  ["fin", [3, 1, 3]],
  ["syn", [3, 1, 3]],
  ["ece", [3, 1, 3]],
  ["cwr", [3, 1, 3]],
  ["urgent", [3, 1, 3]],
  ["window", [3, 1, 3]],
  ["acknowledgement", [3, 1, 3]],
  ["options", [3, 1, 3]],
  ["ttl", [3, 1, 3]],
  ["tos", [3, 1, 3]],
  ["fragment", [3, 1, 3]],
  ["ip options", [3, 1, 3]],
  ["bad checksum", [3, 1, 3]],
  ["sequence", [3, 1, 3]],
];

for (const [oddity, expected] of TCP_SHAPES) {
  Deno.test(`a TCP packet with "${oddity}" is merged with none that it differs from`, () => {
    const steps = [...run(0, 3), ...run(0, 1, oddity), ...run(0, 3)];
    const written = shape(check(trafficOf(steps)));
    // A longer one starts again, and the next, being shorter, ends it.
    assertEquals(written, oddity === "long" ? [3, 2, 2] : expected);
  });
}

/** The same for UDP. */
const UDP_SHAPES: readonly [TrafficStep["oddity"], number[]][] = [
  ["short", [4, 3]],
  ["long", [3, 2, 2]],
  ["empty", [3, 1, 3]],
  ["ttl", [3, 1, 3]],
  ["tos", [3, 1, 3]],
  ["fragment", [3, 1, 3]],
  ["ip options", [3, 1, 3]],
  ["bad checksum", [3, 1, 3]],
  ["no checksum", [3, 1, 3]],
  ["wrong udp length", [3, 1, 3]],
];

for (const [oddity, expected] of UDP_SHAPES) {
  Deno.test(`a UDP packet with "${oddity}" is merged with none that it differs from`, () => {
    const steps = [...run(6, 3), ...run(6, 1, oddity), ...run(6, 3)];
    assertEquals(shape(check(trafficOf(steps))), expected);
  });
}

Deno.test("TCP packets whose options differ are not merged", () => {
  const steps = [...run(3, 3), ...run(3, 1, "other options"), ...run(3, 3)];
  assertEquals(shape(check(trafficOf(steps))), [3, 1, 3]);
});

Deno.test("fragments are not merged with one another", () => {
  for (const flow of [1, 6]) {
    const steps = run(flow, 3, "fragment");
    assertEquals(shape(check(trafficOf(steps))), [1, 1, 1]);
  }
});

Deno.test("a TCP and a UDP flow between the same ports are two flows", () => {
  const steps = Array.from({ length: 4 }, () => [...run(1, 1), ...run(6, 1)]);
  assertEquals(shape(check(trafficOf(steps.flat()))), [4, 4]);
});

Deno.test("IDs must count on where a packet may be fragmented, and not where it may not", () => {
  const odd = (flow: number) =>
    shape(check(
      trafficOf([...run(flow, 3), ...run(flow, 1, "id"), ...run(flow, 3)]),
    ));
  assertEquals(odd(0), [7]);
  assertEquals(odd(6), [7]);
  assertEquals(odd(1), [3, 1, 3]);
  assertEquals(odd(5), [3, 1, 3]);
});

Deno.test("a super-packet ends at 64 packets, a TTL of 1 and other drops leave it whole", () => {
  assertEquals(shape(check(trafficOf(run(0, 130)))), [64, 64, 2]);
  assertEquals(
    shape(check(trafficOf([
      ...run(6, 3),
      ...run(6, 1, "foreign source"),
      ...run(6, 3),
    ]))),
    [6],
  );
});

Deno.test("without coalescing every packet is written by itself", () => {
  const datagrams = trafficOf([...run(0, 5), ...run(5, 5)]);
  const none = new KernelWorld({ coalesceTcp: false, coalesceUdp: false });
  assertEquals(shape(check(datagrams, none)), Array(10).fill(1));
  const tcpOnly = new KernelWorld({ coalesceUdp: false });
  assertEquals(shape(check(datagrams, tcpOnly)), [5, 1, 1, 1, 1, 1]);
});

Deno.test("a super-packet never grows beyond 65,535 bytes", () => {
  const datagrams = Array.from({ length: 50 }, (_, index) =>
    udpPacket({
      source: address("10.1.2.5"),
      destination: address("10.1.1.7"),
      sourcePort: 1,
      destinationPort: 2,
      payload: somePayload(1_400, index),
    }));
  // 46 payloads and one header are 64,428 bytes.
  assertEquals(shape(check(datagrams)), [46, 4]);
});

Deno.test("when all merge areas are in use, further packets are written by themselves", () => {
  // A short packet ends each super-packet of two.
  const pairs = Array.from({ length: 140 }, () => [
    ...run(6, 1),
    ...run(6, 1, "short"),
  ]).flat();
  assertEquals(shape(check(trafficOf(pairs))), [
    ...Array(layout.RX_MERGE_AREAS).fill(2),
    ...Array(2 * (140 - layout.RX_MERGE_AREAS)).fill(1),
  ]);
});

Deno.test("when all records are in use, receive says how far it came and goes on in the next round", () => {
  const world = new KernelWorld({ coalesceTcp: false });
  const datagrams = trafficOf(run(0, layout.RX_MAX_RECORDS + 3));
  const bytes = new Uint8Array(datagrams.flatMap((one) => [...one]));
  const length = datagrams[0]!.length;
  world.memory.bytes.set(bytes, layout.RX_BUFFER);
  const receive = (from: number) =>
    world.kernel.receive(
      layout.RX_BUFFER + from,
      bytes.length - from,
      length,
      SENDER,
    );
  world.kernel.beginReceive();
  const done = receive(0);
  assertEquals(done, layout.RX_MAX_RECORDS * length);
  assertEquals(receive(done), 0);
  const first = world.records();
  world.kernel.beginReceive();
  assertEquals(receive(done), 3 * length);
  assertEquals(
    segments([...first, ...world.records()]).map((one) => one.toHex()),
    datagrams.map((one) => oneHopOn(one).toHex()),
  );
});

Deno.test("a packet whose TTL ends here asks for an answer, at most 64 in a round", () => {
  const world = new KernelWorld();
  const datagrams = trafficOf(run(0, 70, "ttl 1"));
  const records = world.receive(...gro(datagrams));
  const { words } = world.memory;
  assertEquals(records, []);
  assertEquals(
    words[layout.RESULT_ICMP_COUNT >> 2],
    layout.ICMP_MAX_REQUESTS,
  );
  const request = (index: number) => {
    const at = (layout.ICMP_REQUESTS + index * 8) >> 2;
    const offset = words[at]!;
    return world.memory.bytes.slice(offset, offset + words[at + 1]!);
  };
  assertEquals(request(0), datagrams[0]);
  assertEquals(request(63), datagrams[63]);
  assertEquals(world.counters(), { "rx.drop.ttl": 70 });
});

/** What `--sender-check` says, and the counters of a packet from a wrong host. */
const SENDER_CHECKS = [
  ["strict", { "rx.drop.wrongSource": 1 }],
  ["count", { "rx.packets": 1, "rx.bytes": 50, "rx.senderMismatchPassed": 1 }],
  ["off", { "rx.packets": 1, "rx.bytes": 50 }],
] as const;

for (const [senderCheck, expected] of SENDER_CHECKS) {
  Deno.test(`with the sender check ${senderCheck}, a packet from another host counts as ${Object.keys(expected)}`, () => {
    const world = new KernelWorld({ senderCheck });
    world.receive({
      sender: address("192.0.2.3"),
      datagrams: trafficOf(run(0, 1)),
    });
    assertEquals(world.counters(), { ...expected });
  });
}
