import { assertEquals } from "@std/assert";
import * as layout from "../../../../../backend/udp/tun/layout.ts";
import {
  KernelWorld,
  network,
  OWN_SUBNET,
  PEERS,
} from "../../../../support/kernel_world.ts";
import { trafficOf } from "../../../../support/random_traffic.ts";
import { fateOf } from "../../../../support/slow_packets.ts";

const PACKETS = 1_000_000;
const PACKETS_PER_ROUND = 400;
const LAST_PLACE = layout.RX_BUFFER + layout.RX_BUFFER_BYTES - 400;
const GUARD = 0xa5;
const RULES = {
  peers: PEERS,
  subnet: network(OWN_SUBNET),
  senderCheck: "strict",
} as const;
const SENDERS = [...PEERS.map(({ publicIp }) => publicIp), 0xc0000209];

/** Parts of the memory that receiving has no business in. */
const GUARDED: readonly [number, number][] = [
  [0, layout.CONTROL_STOP],
  [layout.COUNTERS + layout.COUNTER_COUNT * 8, layout.RX_RECORDS],
  [
    layout.RX_OPEN_FLOWS +
    layout.RX_OPEN_FLOW_COUNT * layout.RX_OPEN_FLOW_STRIDE,
    layout.ICMP_REQUESTS,
  ],
  [layout.ICMP_REQUESTS + layout.ICMP_MAX_REQUESTS * 8, layout.RX_BUFFER],
  [layout.RX_BUFFER + layout.RX_BUFFER_BYTES, layout.TABLES],
];

/** Marsaglia's xorshift32: the same packets in each run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Packets of two flows, long and short, from which the hostile ones are made. */
const TEMPLATES = trafficOf(
  [0, 1, 3, 5, 6].flatMap((flow) =>
    (["none", "none", "none", "fragment", "ip options"] as const).map(
      (oddity) => ({ flow, oddity }),
    )
  ),
);

Deno.test("a million random and mutated packets: no trap, no write elsewhere, each of them counted by its reason", () => {
  const world = new KernelWorld();
  const { kernel, memory: { bytes, words } } = world;
  for (const [start, end] of GUARDED) bytes.fill(GUARD, start, end);
  const tables = bytes.slice(layout.TABLES);
  const random = generator(0x10de);
  const expected: { [counter: string]: number } = {};
  let delivered = 0;
  let sent = 0;
  while (sent < PACKETS) {
    kernel.beginReceive();
    let at: number = layout.RX_BUFFER;
    // As many as there are records and room for.
    const end = Math.min(sent + PACKETS_PER_ROUND, PACKETS);
    while (sent < end && at < LAST_PLACE) {
      sent++;
      const length = hostile(bytes, at, random);
      const sender =
        SENDERS[random() % 16 === 0 ? 2 : random() % 8 === 0 ? 1 : 0]!;
      const fate = fateOf(bytes.subarray(at, at + length), sender, RULES);
      expected[fate] = (expected[fate] ?? 0) + 1;
      if (fate === "rx.packets") {
        expected["rx.bytes"] = (expected["rx.bytes"] ?? 0) + length;
      }
      assertEquals(kernel.receive(at, length, length, sender), length);
      at += length;
    }
    const records = kernel.endReceive();
    for (let index = 0; index < records; index++) {
      const record = (layout.RX_RECORDS + index * layout.RX_RECORD_STRIDE) >> 2;
      delivered += words[record + (layout.RECORD_PACKETS >> 2)]!;
      checkIovecs(world, record);
    }
  }
  const { "rx.superPackets": _, ...counters } = world.counters();
  assertEquals(counters, expected);
  assertEquals(delivered, expected["rx.packets"]);
  const { "rx.bytes": __, ...fates } = expected;
  assertEquals(Object.values(fates).reduce((a, b) => a + b), PACKETS);
  for (const [start, end] of GUARDED) {
    for (let at = start; at < end; at++) {
      if (bytes[at] !== GUARD) throw new Error(`a write at ${at}`);
    }
  }
  assertEquals(bytes.slice(layout.TABLES), tables);
});

/** Writes a random or mutated packet; its length. */
function hostile(
  bytes: Uint8Array,
  at: number,
  random: () => number,
): number {
  const kind = random() % 8;
  if (kind === 0) {
    const length = random() % 100;
    for (let i = 0; i < length; i++) bytes[at + i] = random();
    if (length > 0 && random() % 2 === 0) bytes[at] = 0x45;
    return length;
  }
  const template = TEMPLATES[random() % TEMPLATES.length]!;
  bytes.set(template, at);
  if (kind < 4) return template.length;
  const changes = random() % 4;
  for (let i = 0; i < changes; i++) {
    bytes[at + random() % Math.min(template.length, 64)] = random();
  }
  // Half of what was changed gets a right header checksum again.
  if (kind < 6) sealFast(bytes, at);
  return kind === 4 ? template.length - random() % 30 : template.length;
}

function sealFast(bytes: Uint8Array, at: number): void {
  const end = at + (bytes[at]! & 15) * 4;
  bytes[at + 10] = bytes[at + 11] = 0;
  let sum = 0;
  for (let i = at; i < end; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  bytes[at + 10] = ~sum >> 8;
  bytes[at + 11] = ~sum;
}

/** Every iovec names bytes of a record's header or of the received packets. */
function checkIovecs(world: KernelWorld, record: number): void {
  const { words, address } = world.memory;
  const iovecs = words[record + (layout.RECORD_IOV >> 2)]! >> 2;
  const count = words[record + (layout.RECORD_IOV_COUNT >> 2)]!;
  for (let i = 1; i < count; i++) {
    const offset = (words[iovecs + i * 4]! - address) >>> 0;
    const length = words[iovecs + i * 4 + 2]!;
    if (
      offset < layout.RX_BUFFER ||
      offset + length > layout.RX_BUFFER + layout.RX_BUFFER_BYTES
    ) throw new Error(`an iovec of ${length} bytes at ${offset}`);
  }
}
