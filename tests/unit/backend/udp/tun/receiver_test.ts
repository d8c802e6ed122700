import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ERRNO } from "../../../../../linux/errno.ts";
import { byFlow } from "../../../../support/flow_order.ts";
import {
  address,
  network,
  OWN_SUBNET,
  PEERS,
} from "../../../../support/kernel_world.ts";
import { somePayload, udpPacket } from "../../../../support/packet_builder.ts";
import { PathWorld } from "../../../../support/path_world.ts";
import { trafficOf, trafficSteps } from "../../../../support/random_traffic.ts";
import { fateOf, oneHopOn, segment } from "../../../../support/slow_packets.ts";

const FIRST = PEERS[0]!.publicIp;
const RULES = {
  peers: PEERS,
  subnet: network(OWN_SUBNET),
  senderCheck: "strict",
} as const;

function packet(
  length: number,
  changes: Partial<Parameters<typeof udpPacket>[0]> = {},
): Uint8Array {
  return udpPacket({
    source: address("10.1.2.7"),
    destination: address("10.1.1.5"),
    sourcePort: 1,
    destinationPort: 2,
    payload: somePayload(length - 28),
    ...changes,
  });
}

const packets = (count: number, length: number) =>
  Array.from({ length: count }, () => packet(length));

/** The lengths of what was written to the device. */
const written = (world: PathWorld) =>
  world.tun.written.map(({ packet }) => packet.length);

Deno.test("datagrams of several receives are merged into one super-packet", () => {
  const world = new PathWorld();
  world.udp.arrive(FIRST, ...packets(30, 1_028));
  world.udp.arrive(FIRST, ...packets(30, 1_028));
  world.receiver.turn();
  assertEquals(written(world), [28 + 60 * 1_000]);
  assertEquals(world.counters(), {
    "rx.packets": 60,
    "rx.bytes": 60 * 1_028,
    "rx.receives": 2,
    "rx.superPackets": 1,
  });
});

Deno.test("a lone small packet is written before anything else is received", () => {
  const world = new PathWorld();
  const { receive } = world.udp;
  const waiting: number[] = [];
  world.udp.receive = function (offset, capacity) {
    waiting.push(world.tun.written.length);
    return receive.call(this, offset, capacity);
  };
  world.udp.arrive(FIRST, packet(100));
  world.udp.arrive(FIRST, packet(100));
  world.receiver.turn();
  assertEquals(waiting, [0, 1, 2]);
});

Deno.test("a receive that the kernel refuses is counted and ends the turn; an empty socket is not", () => {
  const world = new PathWorld();
  world.receiver.turn();
  assertEquals(world.counters()["rx.receiveFailed"], undefined);
  world.udp.receive = () => -ERRNO.ENOMEM;
  world.receiver.turn();
  assertEquals(world.counters()["rx.receiveFailed"], 1);
});

Deno.test("a turn ends although more keeps coming, so that the other direction has its own", () => {
  const world = new PathWorld();
  const arrivals = 400;
  for (let i = 0; i < arrivals; i++) {
    world.udp.arrive(FIRST, ...packets(5, 1_028));
  }
  world.receiver.turn();
  assert(world.udp.waiting > 0 && world.udp.waiting < arrivals);
  world.receiveAll();
  assertEquals(world.counters()["rx.packets"], arrivals * 5);
});

Deno.test("packets that nothing has merged on the way are merged here, whatever each receive brings", () => {
  const world = new PathWorld();
  const merged = new PathWorld();
  const given = packets(40, 1_028);
  for (const one of given) world.udp.arrive(FIRST, one);
  merged.udp.arrive(FIRST, ...given);
  world.receiveAll();
  merged.receiveAll();
  assertEquals(world.counters()["rx.receives"], 40);
  assertEquals(world.tun.written.length, merged.tun.written.length);
  assertEquals(
    world.tun.written.map(({ packet }) => packet.toHex()),
    merged.tun.written.map(({ packet }) => packet.toHex()),
  );
});

Deno.test("more packets than there are records are all written, in order", () => {
  const world = new PathWorld({ coalesceUdp: false });
  const given: Uint8Array[] = [];
  for (let i = 0; i < 4; i++) {
    const batch = Array.from(
      { length: 300 },
      (_, id) => packet(60, { id: i * 300 + id }),
    );
    given.push(...batch);
    world.udp.arrive(FIRST, ...batch);
  }
  world.receiveAll();
  assertEquals(
    world.tun.written.map(({ packet }) => packet.toHex()),
    given.map((one) => oneHopOn(one).toHex()),
  );
});

Deno.test("any traffic from a peer reaches the device in each flow's order", () => {
  fc.assert(
    fc.property(
      trafficSteps,
      fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1 }),
      (steps, sizes) => {
        const world = new PathWorld();
        const datagrams = trafficOf(steps);
        let at = 0;
        for (let i = 0; at < datagrams.length; i++) {
          // Datagrams of one length only, as UDP GRO gives them.
          const first = datagrams[at]!;
          let end = at + 1;
          while (
            end < datagrams.length && end - at < sizes[i % sizes.length]! &&
            datagrams[end]!.length === first.length
          ) end++;
          world.udp.arrive(FIRST, ...datagrams.slice(at, end));
          at = end;
        }
        world.receiveAll();
        const admitted = datagrams
          .filter((one) => fateOf(one, FIRST, RULES) === "rx.packets")
          .map(oneHopOn);
        const delivered = world.tun.written.flatMap(({ vnet, packet }) =>
          segment(vnet, packet)
        );
        assertEquals(byFlow(delivered), byFlow(admitted));
        assertEquals(
          world.counters()["rx.packets"] ?? 0,
          admitted.length,
        );
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("what the device refuses is counted by packets, and the rest arrives", () => {
  const world = new PathWorld();
  world.tun.refuseWrites(ERRNO.EIO);
  world.udp.arrive(FIRST, ...packets(5, 1_028));
  world.receiver.turn();
  world.udp.arrive(FIRST, packet(100));
  world.receiver.turn();
  assertEquals(world.counters()["rx.drop.device"], 5);
  assertEquals(written(world), [100]);
  assertEquals(world.receiver.failure, 0);
});

Deno.test("a device that is gone is a failure", () => {
  const world = new PathWorld();
  world.tun.delete();
  world.udp.arrive(FIRST, packet(100));
  world.receiver.turn();
  assertEquals(world.receiver.failure, ERRNO.EBADFD);
  assertEquals(world.counters()["rx.drop.device"], 1);
});

Deno.test("what the socket has dropped is counted once, also when its counter wraps", () => {
  const world = new PathWorld();
  const turn = (dropped: number) => {
    world.udp.droppedBySocket = dropped;
    world.receiver.turn();
    return world.counters()["rx.drop.socketFull"] ?? 0;
  };
  assertEquals(turn(0), 0);
  assertEquals(turn(7), 7);
  assertEquals(turn(7), 7);
  assertEquals(turn(0xffff_fff0), 0xffff_fff0);
  assertEquals(turn(4), 0xffff_fff0 + 20);
});

Deno.test("empty datagrams are counted and hold nothing up", () => {
  const world = new PathWorld();
  world.udp.arrive(FIRST);
  world.udp.arrive(FIRST, packet(100));
  world.receiver.turn();
  assertEquals(world.counters()["rx.drop.empty"], 1);
  assertEquals(written(world), [100]);
});

Deno.test("a packet whose TTL ends is answered before its bytes are gone", () => {
  const world = new PathWorld();
  world.udp.arrive(FIRST, packet(100, { ttl: 1 }));
  world.udp.arrive(FIRST, packet(100));
  world.receiver.turn();
  const [answer] = world.icmpPort.sent;
  assertEquals(answer!.destination, address("10.1.2.7"));
  assertEquals([answer!.message[0], answer!.message[1]], [11, 0]);
  assertEquals(
    answer!.message.slice(8).toHex(),
    packet(100, { ttl: 1 }).toHex(),
  );
  assertEquals(written(world), [100]);
});

Deno.test("a turn says how many bytes it has received", () => {
  const world = new PathWorld();
  world.udp.arrive(FIRST, ...packets(3, 1_028));
  assertEquals(world.receiver.turn(), 3 * 1_028);
  assert(world.receiver.turn() === 0);
});
