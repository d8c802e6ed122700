import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ERRNO } from "../../../../../linux/errno.ts";
import { address, PEERS } from "../../../../support/kernel_world.ts";
import {
  DF,
  somePayload,
  tcpPacket,
  udpPacket,
} from "../../../../support/packet_builder.ts";
import { PathWorld } from "../../../../support/path_world.ts";
import {
  tcpSuper,
  udpSuper,
  unfinished,
} from "../../../../support/random_packets.ts";
import {
  GSO_TCPV4,
  oneHopOn,
  sealIpHeader,
  segment,
} from "../../../../support/slow_packets.ts";

const FIRST = PEERS[0]!.publicIp;
const SECOND = PEERS[1]!.publicIp;

/** A packet of `length` bytes to the first peer, or where `changes` say. */
function packet(
  length: number,
  changes: Partial<Parameters<typeof udpPacket>[0]> = {},
): Uint8Array {
  return udpPacket({
    source: address("10.1.1.5"),
    destination: address("10.1.2.7"),
    sourcePort: 1,
    destinationPort: 2,
    payload: somePayload(length - 28),
    ...changes,
  });
}

const toSecond = { destination: address("10.1.3.7") };

/** A TCP super-packet with `bytes` bytes of payload. */
function superPacket(bytes: number, gsoBytes: number, fragment = DF) {
  return {
    packet: tcpPacket({
      source: address("10.1.1.5"),
      destination: address("10.1.2.7"),
      fragment,
      sourcePort: 1,
      destinationPort: 2,
      sequence: 1,
      payload: somePayload(bytes),
    }),
    vnet: {
      needsChecksum: true,
      gsoType: GSO_TCPV4,
      headerBytes: 40,
      gsoBytes,
      checksumStart: 20,
      checksumOffset: 16,
    },
  };
}

/** Sends packets of these lengths to the first peer; the lengths of each send. */
function sendsOf(world: PathWorld, ...lengths: number[]): number[][] {
  for (const length of lengths) world.tun.enqueue(packet(length));
  world.transmitAll();
  return world.sends();
}

Deno.test("packets of one length leave in one send, a shorter one ends it, a longer one begins another", () => {
  const batches = (...lengths: number[]) =>
    sendsOf(new PathWorld(), ...lengths);
  assertEquals(batches(100, 100, 100), [[100, 100, 100]]);
  assertEquals(batches(100, 100, 60, 100), [[100, 100, 60], [100]]);
  assertEquals(batches(60, 100, 100), [[60], [100, 100]]);
  assertEquals(batches(100, 60, 60, 60), [[100, 60], [60, 60]]);
});

Deno.test("what was sent before does not keep short packets from leaving together", () => {
  const world = new PathWorld();
  sendsOf(world, 1_000);
  assertEquals(sendsOf(world, 60, 60, 60), [[1_000], [60, 60, 60]]);
});

Deno.test("a send has at most 64 packets and 65,507 bytes", () => {
  assertEquals(
    sendsOf(new PathWorld(), ...Array(64).fill(50)).map((s) => s.length),
    [64],
  );
  assertEquals(
    sendsOf(new PathWorld(), ...Array(130).fill(50)).map((s) => s.length),
    // A turn reads 64 packets.
    [64, 64, 2],
  );
  assertEquals(
    sendsOf(new PathWorld(), ...Array(46).fill(1_472)).map((s) => s.length),
    [44, 2],
  );
});

Deno.test("packets to two peers that alternate keep their order", () => {
  const world = new PathWorld();
  for (let i = 0; i < 4; i++) {
    world.tun.enqueue(packet(100, { id: i }));
    world.tun.enqueue(packet(100, { id: i, ...toSecond }));
  }
  world.transmitAll();
  assertEquals(
    world.udp.sent.map(({ peer }) => peer),
    [FIRST, SECOND, FIRST, SECOND, FIRST, SECOND, FIRST, SECOND],
  );
  const ids = world.udp.sent.map(({ datagrams }) => datagrams[0]![5]);
  assertEquals(ids, [0, 0, 1, 1, 2, 2, 3, 3]);
});

Deno.test("a super-packet leaves in one send, and the next of its kind with it", () => {
  const world = new PathWorld();
  const { vnet, packet } = superPacket(5_000, 1_000);
  world.tun.enqueue(packet, vnet);
  world.tun.enqueue(packet, vnet);
  world.transmitAll();
  assertEquals(world.sends(), [Array(10).fill(1_040)]);
  assertEquals(world.counters(), {
    "tx.superPackets": 2,
    "tx.packets": 10,
    "tx.bytes": 10_400,
    "tx.sends": 1,
  });
});

Deno.test("a super-packet of more than a send can hold goes on in the next", () => {
  const world = new PathWorld();
  const { vnet, packet } = superPacket(65_000, 700);
  world.tun.enqueue(packet, vnet);
  world.transmitAll();
  assertEquals(world.sends(), [
    Array(64).fill(740),
    [...Array(28).fill(740), 65_000 - 92 * 700 + 40],
  ]);
});

Deno.test("everything from the TUN reaches the wire as the slow implementation sends it, in order for each peer", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(fc.oneof(tcpSuper, udpSuper, unfinished), fc.boolean()),
        { maxLength: 40 },
      ),
      fc.boolean(),
      (given, segmentSends) => {
        const world = new PathWorld({ segmentSends });
        for (const peer of PEERS) world.udp.mtuBytes.set(peer.publicIp, 65_535);
        const expected = new Map<number, string[]>();
        for (const [{ vnet, packet }, second] of given) {
          if (second) packet[18] = 3;
          sealIpHeader(packet);
          world.tun.enqueue(packet, vnet);
          const to = second ? SECOND : FIRST;
          const packets = expected.get(to) ?? [];
          expected.set(to, packets);
          packets.push(
            ...segment(vnet, oneHopOn(packet)).map((one) => one.toHex()),
          );
        }
        world.transmitAll();
        const sent = new Map<number, string[]>();
        for (const { peer, datagrams } of world.udp.sent) {
          sent.set(peer, [
            ...sent.get(peer) ?? [],
            ...datagrams.map((one) => one.toHex()),
          ]);
        }
        assertEquals(sent, expected);
        if (!segmentSends) {
          assert(
            world.udp.sent.every(({ datagrams }) => datagrams.length === 1),
          );
        }
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("jumbo packets take several slots and come out whole", () => {
  const world = new PathWorld();
  world.udp.mtuBytes.set(FIRST, 65_535);
  const jumbos = Array.from({ length: 70 }, (_, id) => packet(9_000, { id }));
  for (const jumbo of jumbos) world.tun.enqueue(jumbo);
  world.transmitAll();
  assertEquals(
    world.udp.sent.flatMap(({ datagrams }) => datagrams).map(hex),
    jumbos.map(oneHopOn).map(hex),
  );
});

const hex = (bytes: Uint8Array) => bytes.toHex();
/** Type, code and the MTU of an ICMP message. */
const told = (message: Uint8Array) => [
  message[0],
  message[1],
  (message[6]! << 8) | message[7]!,
];

Deno.test("a packet that is too big and must not be cut is answered with the MTU of its path", () => {
  const world = new PathWorld();
  world.udp.mtuBytes.set(FIRST, 1_300);
  world.tun.enqueue(packet(1_272));
  world.tun.enqueue(packet(1_273));
  world.transmitAll();
  assertEquals(world.sends(), [[1_272]]);
  const [answer] = world.icmpPort.sent;
  assertEquals(answer!.destination, address("10.1.1.5"));
  assertEquals(told(answer!.message), [3, 4, 1_272]);
  assertEquals(world.counters(), {
    "tx.packets": 1,
    "tx.bytes": 1_272,
    "tx.sends": 1,
    "tx.drop.tooBig": 1,
    "icmp.sent": 1,
  });
});

Deno.test("a path MTU below 1,280 is not passed on: the packets leave whole for ten seconds, then the kernel is asked again", async () => {
  const world = new PathWorld();
  world.udp.mtuBytes.set(FIRST, 600);
  const unlimited = (...lengths: number[]) => {
    world.udp.sent.length = 0;
    sendsOf(world, ...lengths);
    return world.udp.sent.map(({ datagrams, isUnlimited }) => [
      isUnlimited,
      ...datagrams.map(({ length }) => length),
    ]);
  };
  assertEquals(unlimited(500), [[false, 500]]);
  // The first batch finds it out packet by packet.
  assertEquals(unlimited(1_400, 1_400), [[true, 1_400], [true, 1_400]]);
  assertEquals(unlimited(1_400, 1_400), [[true, 1_400, 1_400]]);
  world.tun.enqueue(packet(1_400, toSecond));
  world.transmitAll();
  assertEquals(world.udp.sent.at(-1)!.isUnlimited, false);
  assertEquals(world.icmpPort.sent, []);
  assertEquals(world.counters()["tx.pathMtuDoubted"], 4);
  await world.clock.advance(10_000);
  assertEquals(unlimited(500), [[false, 500]]);
  world.udp.mtuBytes.set(FIRST, 1_500);
  assertEquals(unlimited(1_400), [[false, 1_400]]);
});

Deno.test("a packet larger than the device is answered with 1,280 bytes at least, whatever routers have said", () => {
  const world = new PathWorld();
  world.udp.mtuBytes.set(FIRST, 600);
  world.tun.enqueue(packet(1_473));
  world.transmitAll();
  assertEquals(world.sends(), []);
  assertEquals(told(world.icmpPort.sent[0]!.message), [3, 4, 1_252]);
});

Deno.test("an underlay whose own MTU is below 1,280 is believed", () => {
  const world = new PathWorld({ mtuBytes: 972 });
  world.udp.mtuBytes.set(FIRST, 1_000);
  world.tun.enqueue(packet(973));
  world.transmitAll();
  assertEquals(world.sends(), []);
  assertEquals(told(world.icmpPort.sent[0]!.message), [3, 4, 972]);
});

Deno.test("a packet that is too big and may be cut leaves in fragments", () => {
  const world = new PathWorld();
  world.udp.mtuBytes.set(FIRST, 1_300);
  world.tun.enqueue(packet(1_400, { fragment: 0 }));
  world.transmitAll();
  assertEquals(world.udp.sent.map((one) => one.mayBeFragmented), [true]);
  assertEquals(world.icmpPort.sent, []);
  assertEquals(world.counters()["tx.packets"], 1);
});

Deno.test("a super-packet that is too big is answered once and each of its packets counted", () => {
  const world = new PathWorld();
  world.udp.mtuBytes.set(FIRST, 1_300);
  const { vnet, packet } = superPacket(14_000, 1_400);
  world.tun.enqueue(packet, vnet);
  world.transmitAll();
  assertEquals(world.sends(), []);
  assertEquals(world.icmpPort.sent.length, 1);
  assertEquals(world.counters()["tx.drop.tooBig"], 10);
});

Deno.test("too big packets of several flows in one send are answered each", () => {
  const world = new PathWorld();
  world.udp.mtuBytes.set(FIRST, 1_300);
  for (const sourcePort of [1, 2, 3]) {
    world.tun.enqueue(packet(1_400, { sourcePort }));
  }
  world.transmitAll();
  assertEquals(world.icmpPort.sent.length, 3);
  assertEquals(world.counters()["tx.drop.tooBig"], 3);
});

Deno.test("the packets of a batch that fit leave when others of it are too big", () => {
  const world = new PathWorld();
  world.udp.mtuBytes.set(FIRST, 1_300);
  const { vnet, packet } = superPacket(1_500, 1_400);
  world.tun.enqueue(packet, vnet);
  world.transmitAll();
  assertEquals(world.sends(), [[140]]);
  assertEquals(world.counters()["tx.drop.tooBig"], 1);
});

Deno.test("a path whose MTU the kernel no longer knows costs the answer, not the worker", () => {
  const world = new PathWorld();
  world.udp.pathMtuBytes = () => -ERRNO.ENETUNREACH;
  sendsOf(world, 1_473);
  assertEquals(world.icmpPort.sent, []);
  assertEquals(world.counters(), { "tx.drop.tooBig": 1, "icmp.failed": 1 });
});

Deno.test("a device that cannot segment is asked once: its packets leave one by one, then and later", () => {
  const world = new PathWorld();
  world.udp.refuseSegmentation(ERRNO.EIO);
  assertEquals(sendsOf(world, 100, 100), [[100], [100]]);
  world.udp.refuseSegmentation(0);
  assertEquals(sendsOf(world, 100, 100), [[100], [100], [100], [100]]);
  assertEquals(world.counters()["tx.sends"], 4);
});

Deno.test("segments that the kernel refuses this time leave one by one, and together next time", () => {
  const world = new PathWorld();
  world.udp.refuseSends(ERRNO.EINVAL);
  assertEquals(sendsOf(world, 100, 100), [[100], [100]]);
  assertEquals(sendsOf(world, 100, 100), [[100], [100], [100, 100]]);
});

Deno.test("a full socket is waited for", () => {
  const world = new PathWorld();
  world.udp.refuseSends(ERRNO.EAGAIN, ERRNO.EAGAIN);
  assertEquals(sendsOf(world, 100, 100), [[100, 100]]);
  assertEquals(world.waits, 2);
  assertEquals(world.counters()["tx.socketFull"], 2);
});

Deno.test("a socket that stays full costs the packets, counted as noBuffer", () => {
  const world = new PathWorld();
  world.udp.refuseSends(...Array(20).fill(ERRNO.EAGAIN));
  sendsOf(world, 100, 100);
  assertEquals(world.counters(), {
    "tx.socketFull": 19,
    "tx.drop.noBuffer": 2,
  });
  assertEquals(sendsOf(world, 100), [[100]]);
});

/** An error number and the counter of a packet that meets it. */
const SEND_ERRORS = [
  ["ENETUNREACH", "tx.drop.unreachable"],
  ["EHOSTUNREACH", "tx.drop.unreachable"],
  ["ENETDOWN", "tx.drop.unreachable"],
  ["ENOBUFS", "tx.drop.noBuffer"],
  ["ENOMEM", "tx.drop.noBuffer"],
  ["EPERM", "tx.drop.refused"],
  ["EINVAL", "tx.drop.refused"],
] as const;

for (const [name, counter] of SEND_ERRORS) {
  Deno.test(`a send that ends in ${name} counts as ${counter}, and the next packet leaves`, () => {
    const world = new PathWorld();
    world.udp.refuseSends(ERRNO[name]);
    assertEquals(sendsOf(world, 100), []);
    assertEquals(world.counters(), { [counter]: 1 });
    assertEquals(sendsOf(world, 100), [[100]]);
    assertEquals(world.transmitter.failure, 0);
  });
}

Deno.test("a peer without a route costs only its own packets", () => {
  const world = new PathWorld();
  world.udp.makeUnreachable(FIRST);
  world.tun.enqueue(packet(100));
  world.tun.enqueue(packet(100, toSecond));
  world.tun.enqueue(packet(100));
  world.transmitAll();
  assertEquals(world.udp.sent.map(({ peer }) => peer), [SECOND]);
  assertEquals(world.counters()["tx.drop.unreachable"], 2);
});

Deno.test("packets without a peer and with a spent TTL are answered, and hold nothing up", () => {
  const world = new PathWorld();
  world.tun.enqueue(packet(100));
  world.tun.enqueue(packet(200, { destination: address("10.1.9.9") }));
  world.tun.enqueue(packet(300, { ttl: 1 }));
  world.tun.enqueue(packet(100));
  world.transmitAll();
  assertEquals(world.sends(), [[100, 100]]);
  assertEquals(
    world.icmpPort.sent.map(({ message }) => told(message).slice(0, 2)),
    [[3, 0], [11, 0]],
  );
});

Deno.test("a device that is gone is a failure, an empty one is not", () => {
  const world = new PathWorld();
  assertEquals(world.transmitter.turn(), 0);
  assertEquals(world.transmitter.failure, 0);
  world.tun.delete();
  world.transmitter.turn();
  assertEquals(world.transmitter.failure, ERRNO.EBADFD);
});

Deno.test("a turn says how many bytes it has sent", () => {
  const world = new PathWorld();
  for (const length of [100, 100, 50]) world.tun.enqueue(packet(length));
  assertEquals(world.transmitter.turn(), 250);
  assertEquals(world.transmitter.turn(), 0);
});
