import { assert, assertEquals } from "@std/assert";
import {
  recordDrops,
  takeDrops,
} from "../../../../../backend/udp/tun/drop_rings.ts";
import * as layout from "../../../../../backend/udp/tun/layout.ts";
import { TunDrops } from "../../../../../backend/udp/tun/tun_drops.ts";
import { ERRNO } from "../../../../../linux/errno.ts";
import { isDropCounter } from "../../../../../net/dropped_packet.ts";
import { formatIpv4 } from "../../../../../net/ipv4.ts";
import {
  HOLDERS,
  inner,
  outgoing,
  RECEIVED,
  SENT,
} from "../../../../contract/packet_fates_contract.ts";
import { socketReceives } from "../../../../support/host_socket.ts";
import { added, address } from "../../../../support/kernel_world.ts";
import { takePeerTable } from "../../../../../backend/udp/tun/peer_table_switch.ts";
import { tcpPacket } from "../../../../support/packet_builder.ts";
import { SOCKET } from "../../../../support/packet_paths.ts";
import { PathWorld } from "../../../../support/path_world.ts";

const STRANGER = address("192.0.2.99");
const PEER = address("192.0.2.2");

/** A data path to which the agent listens. */
class World extends PathWorld {
  readonly drops = new TunDrops({
    take: () => {
      recordDrops(this.state.memory.buffer, true);
      return takeDrops(this.state.memory.buffer);
    },
    end: () => {
      recordDrops(this.state.memory.buffer, false);
      takeDrops(this.state.memory.buffer);
    },
    now: () => 4_711,
    underlayName: (index) => index === 2 ? "eth0" : undefined,
    deviceName: "flannel0",
    underlayAddress: SOCKET.address,
  });

  constructor(options: ConstructorParameters<typeof PathWorld>[0] = {}) {
    super(options);
    this.state.changePeers(added(...HOLDERS));
    takePeerTable(this.memory, this.kernel, layout.CONTROL_TABLE_ACTIVE);
  }

  arrive(from: number, ...datagrams: Uint8Array[]): void {
    this.udp.arrive(from, ...datagrams);
    this.receiveAll();
  }

  send(...packets: Uint8Array[]): void {
    for (const packet of packets) this.tun.enqueue(packet);
    this.transmitAll();
  }

  reasons(): string[] {
    return this.drops.read().map(({ reason }) => reason);
  }
}

const reasonOf = (outcome: string | { readonly userSpace: string }) => {
  const name = typeof outcome === "string" ? outcome : outcome.userSpace;
  return isDropCounter(name) ? name : undefined;
};

for (const row of RECEIVED) {
  const reason = reasonOf(row.outcome);
  const datagram = socketReceives(row.frame, SOCKET);
  if (reason === undefined || datagram === undefined) continue;
  Deno.test(`received: ${row.name}, is told once, as ${reason}`, () => {
    const world = new World({ senderCheck: row.senderCheck ?? "strict" });
    world.drops.read();
    world.arrive(datagram.address, datagram.payload);
    const [packet, ...more] = world.drops.read();
    assertEquals([packet!.reason, more], [reason, []]);
    assertEquals(packet!.bytes, datagram.payload.slice(0, 128));
    assertEquals(packet!.lengthBytes, datagram.payload.length);
    assertEquals(packet!.outer, {
      source: datagram.address,
      destination: SOCKET.address,
    });
  });
}

for (const row of SENT) {
  const reason = reasonOf(row.outcome);
  if (reason === undefined) continue;
  Deno.test(`sent: ${row.name}, is told once, as ${reason}`, () => {
    const world = new World();
    world.drops.read();
    world.send(row.packet);
    const [packet, ...more] = world.drops.read();
    assertEquals([packet!.reason, more], [reason, []]);
    assertEquals(packet!.bytes, row.packet.slice(0, 128));
    assertEquals([packet!.device, packet!.outer], ["flannel0", undefined]);
  });
}

Deno.test("a drop has the flow of its packet, and the time of the look", () => {
  const world = new World();
  world.drops.read();
  world.arrive(STRANGER, inner());
  const [packet] = world.drops.read();
  assertEquals(packet!.timeMs, 4_711);
  assertEquals(packet!.device, undefined);
  assertEquals(formatIpv4(packet!.inner!.source), "10.1.2.5");
  assertEquals(packet!.inner!.destinationPort, 2_000);
});

Deno.test("nothing is kept while nobody listens, before and after", () => {
  const world = new World();
  world.arrive(STRANGER, inner());
  assertEquals(world.reasons(), []);
  world.arrive(STRANGER, inner());
  world.drops.end();
  world.arrive(STRANGER, inner());
  assertEquals(takeDrops(world.state.memory.buffer), []);
  assertEquals(world.state.counters()["rx.drop.unknownSender"], 3);
});

Deno.test("of a flood so many are kept, other reasons are told too, and the next look has room again", () => {
  const world = new World();
  world.drops.read();
  for (let round = 0; round < 2; round++) {
    for (let count = 0; count < 500; count++) world.arrive(STRANGER, inner());
    world.arrive(PEER, inner({ destination: "10.1.9.9" }));
    const reasons = world.reasons();
    assertEquals(reasons.length, layout.DROPS_MOST_TAKEN + 1);
    assertEquals(reasons.at(-1), "rx.drop.wrongDestination");
  }
});

Deno.test("a ring that is full keeps what is in it", () => {
  const world = new World();
  world.drops.read();
  const taken = () =>
    world.memory.words.fill(
      0,
      layout.DROPS_TAKEN >> 2,
      (layout.DROPS_TAKEN >> 2) + layout.COUNTER_COUNT,
    );
  for (let count = 0; count < 300; count++) {
    taken();
    world.arrive(STRANGER, inner({ ttl: 1 + count % 200 }));
  }
  const told = world.drops.read();
  assertEquals(told.length, layout.DROPS_SLOTS);
  assertEquals(told.map(({ bytes }) => bytes[8]), told.map((_, i) => 1 + i));
});

Deno.test("the count of records may wrap", () => {
  const world = new World();
  world.drops.read();
  for (const ring of [layout.DROPS_RX, layout.DROPS_TX]) {
    world.memory.words.fill(0xffff_ffff, ring >> 2, (ring >> 2) + 2);
  }
  world.arrive(STRANGER, inner());
  world.arrive(STRANGER, inner());
  world.send(outgoing({ destination: "10.1.200.1" }));
  assertEquals(world.reasons(), [
    "tx.drop.noPeer",
    "rx.drop.unknownSender",
    "rx.drop.unknownSender",
  ]);
});

Deno.test("what the kernel refuses to send is told with its peer", () => {
  for (
    const [errno, reason] of [
      [ERRNO.EHOSTUNREACH, "tx.drop.unreachable"],
      [ERRNO.EPERM, "tx.drop.refused"],
      [ERRNO.ENOBUFS, "tx.drop.noBuffer"],
    ] as const
  ) {
    const world = new World();
    world.drops.read();
    world.udp.refuseSends(errno);
    world.send(outgoing());
    const [packet] = world.drops.read();
    assertEquals(packet!.reason, reason);
    assertEquals(packet!.outer, { source: SOCKET.address, destination: PEER });
    assertEquals(packet!.bytes.slice(12, 20), outgoing().slice(12, 20));
  }
});

Deno.test("what is larger than the path is told", () => {
  const world = new World();
  world.drops.read();
  world.udp.mtuBytes.set(PEER, 1_400);
  world.send(outgoing({ payload: new Uint8Array(1_440), fragment: 0x4000 }));
  assertEquals(world.reasons(), ["tx.drop.tooBig"]);
});

Deno.test("of a super-packet's segment the headers are told, with the length of all of it", () => {
  const world = new World();
  world.drops.read();
  world.udp.makeUnreachable(PEER);
  const packet = tcpPacket({
    source: address("10.1.1.7"),
    destination: address("10.1.2.5"),
    sourcePort: 1,
    destinationPort: 2,
    sequence: 7,
    payload: new Uint8Array(2_800),
  });
  world.tun.enqueue(packet, {
    needsChecksum: true,
    gsoType: 1,
    headerBytes: 40,
    gsoBytes: 1_400,
    checksumStart: 20,
    checksumOffset: 16,
  });
  world.transmitAll();
  const [drop] = world.drops.read();
  assertEquals(drop!.reason, "tx.drop.unreachable");
  assertEquals([drop!.bytes.length, drop!.lengthBytes], [40, 1_440]);
});

Deno.test("what the device does not take is told", () => {
  const world = new World();
  world.drops.read();
  world.tun.refuseWrites(ERRNO.EIO);
  world.arrive(PEER, inner());
  const [packet] = world.drops.read();
  assertEquals(packet!.reason, "rx.drop.device");
  assertEquals(formatIpv4(packet!.inner!.source), "10.1.2.5");
});

Deno.test("records fit into their rings", () => {
  assert(
    layout.DROPS_FIRST + layout.DROPS_SLOTS * layout.DROP_STRIDE <=
      layout.DROPS_RING_BYTES,
  );
  assert(
    layout.DROP_DATA + layout.DROP_CAPTURE_BYTES <= layout.DROP_STRIDE,
  );
});
