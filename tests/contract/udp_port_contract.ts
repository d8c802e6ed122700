/**
 * What every {@linkcode UdpPort} does. Run on the kernel's and on the one in
 * memory.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { ERRNO } from "../../linux/errno.ts";
import type { PacketMemory } from "../../linux/packet_memory.ts";
import type { UdpPort } from "../../linux/udp_socket.ts";
import { somePayload } from "../support/packet_builder.ts";
import { writeIovec } from "../support/gather.ts";

/** What arrived at a peer: datagrams in order. */
export interface Arrived {
  readonly from: number;
  readonly datagrams: readonly Uint8Array[];
}

/** A port whose path to the peer has an MTU of 1,500 bytes. */
export interface UdpWorld extends Disposable {
  readonly memory: PacketMemory;
  readonly port: UdpPort;
  /** Addresses in host byte order: the port's, a peer's, one without a route. */
  readonly own: number;
  readonly peer: number;
  readonly unreachable: number;
  /** The peer sends datagrams of one length (but for the last) at once. */
  peerSends(...datagrams: Uint8Array[]): void;
  /** Everything that has arrived at the peer. */
  peerReceives(): Uint8Array[];
}

const DATA = 0x40000;
const IOVECS = 0x6000;
const RECEIVE = 0x80000;
const CAPACITY = 0x10000;

/** Registers the tests; `makeWorld` makes a new world for each. */
export function udpPortContract(
  implementation: string,
  makeWorld: () => UdpWorld,
): void {
  const test = (sentence: string, prove: (world: UdpWorld) => void) =>
    Deno.test(`${implementation} ${sentence}`, () => {
      using world = makeWorld();
      prove(world);
    });

  /** Puts pieces of data behind one another; the number of iovecs. */
  const place = ({ memory }: UdpWorld, ...pieces: Uint8Array[]): number => {
    let at = DATA;
    pieces.forEach((piece, index) => {
      memory.bytes.set(piece, at);
      writeIovec(memory, IOVECS + index * 16, at, piece.length);
      at += piece.length;
    });
    return pieces.length;
  };
  const hex = (datagrams: readonly Uint8Array[]) =>
    datagrams.map((one) => one.toHex());
  /** Receives until there is nothing more. */
  const receiveAll = ({ memory, port }: UdpWorld): Arrived[] => {
    const arrived: Arrived[] = [];
    for (;;) {
      const bytes = port.receive(RECEIVE, CAPACITY);
      if (bytes < 0) {
        assertEquals(bytes, -ERRNO.EAGAIN);
        return arrived;
      }
      const step = port.receivedSegmentBytes || 1;
      const datagrams = Array.from(
        { length: Math.max(1, Math.ceil(bytes / step)) },
        (_, i) =>
          memory.bytes.slice(
            RECEIVE + i * step,
            RECEIVE + Math.min(bytes, (i + 1) * step),
          ),
      );
      arrived.push({
        from: port.receivedFrom,
        datagrams,
      });
    }
  };

  test("sends what its iovecs name as one datagram", (world) => {
    const { port, peer } = world;
    const count = place(world, somePayload(40), somePayload(100, 1));
    assertEquals(port.send(peer, IOVECS, count, 0), 140);
    assertEquals(hex(world.peerReceives()), [
      somePayload(40).toHex() + somePayload(100, 1).toHex(),
    ]);
  });

  test("cuts a send into datagrams of the segment's length, the last shorter", (world) => {
    const { port, peer } = world;
    const data = somePayload(2_500);
    const count = place(world, data.slice(0, 700), data.slice(700));
    assertEquals(port.send(peer, IOVECS, count, 1_000), 2_500);
    assertEquals(
      hex(world.peerReceives()),
      hex([data.slice(0, 1_000), data.slice(1_000, 2_000), data.slice(2_000)]),
    );
  });

  test("sends 64 segments at once, and single datagrams after them", (world) => {
    const { port, peer } = world;
    const data = somePayload(64 * 1_000);
    assertEquals(port.send(peer, IOVECS, place(world, data), 1_000), 64_000);
    assertEquals(world.peerReceives().length, 64);
    assertEquals(port.send(peer, IOVECS, place(world, data.slice(0, 9)), 0), 9);
    assertEquals(hex(world.peerReceives()), hex([data.slice(0, 9)]));
  });

  test("refuses a datagram that is larger than the path, also as a segment", (world) => {
    const { port, peer } = world;
    const refused = (bytes: number, segmentBytes: number) =>
      port.send(peer, IOVECS, place(world, somePayload(bytes)), segmentBytes);
    assertEquals(refused(1_473, 0), -ERRNO.EMSGSIZE);
    assertEquals(
      [-ERRNO.EMSGSIZE, -ERRNO.EINVAL].includes(refused(2_900, 1_473)),
      true,
    );
    assertEquals(refused(1_472, 0), 1_472);
    assertEquals(refused(2_944, 1_472), 2_944);
    assertEquals(world.peerReceives().length, 3);
  });

  test("sends a larger datagram when it may be fragmented, and refuses the next again", (world) => {
    const { port, peer } = world;
    const data = somePayload(3_000);
    const count = place(world, data);
    assertEquals(port.sendFragmentable(peer, IOVECS, count), 3_000);
    assertEquals(hex(world.peerReceives()), hex([data]));
    assertEquals(port.send(peer, IOVECS, count, 0), -ERRNO.EMSGSIZE);
  });

  test("sends up to the device's MTU when the path does not count, alone and as segments, and not more", (world) => {
    const { port, peer } = world;
    const send = (bytes: number, segmentBytes: number) =>
      port.sendUnlimited(
        peer,
        IOVECS,
        place(world, somePayload(bytes)),
        segmentBytes,
      );
    assertEquals(send(1_472, 0), 1_472);
    assertEquals(send(2_944, 1_472), 2_944);
    assertEquals(send(1_473, 0), -ERRNO.EMSGSIZE);
    assertEquals(world.peerReceives().length, 3);
  });

  test("knows the path MTU to a peer", ({ port, peer }) => {
    assertEquals(port.pathMtuBytes(peer), 1_500);
  });

  test("says that no route leads to a peer", (world) => {
    const { port, unreachable } = world;
    const count = place(world, somePayload(10));
    assertEquals(port.send(unreachable, IOVECS, count, 0), -ERRNO.ENETUNREACH);
    assertEquals(port.pathMtuBytes(unreachable), -ERRNO.ENETUNREACH);
  });

  test("receives nothing when nothing is there", ({ port }) => {
    assertEquals(port.receive(RECEIVE, CAPACITY), -ERRNO.EAGAIN);
  });

  test("receives datagrams with their sender, an empty one too", (world) => {
    const sender = { from: world.peer };
    world.peerSends(somePayload(100));
    world.peerSends(new Uint8Array());
    world.peerSends(somePayload(1_400, 3));
    assertEquals(receiveAll(world), [
      { ...sender, datagrams: [somePayload(100)] },
      { ...sender, datagrams: [new Uint8Array()] },
      { ...sender, datagrams: [somePayload(1_400, 3)] },
    ]);
  });

  test("receives many datagrams in their order, however few calls it takes", (world) => {
    const sent = Array.from({ length: 20 }, (_, i) => somePayload(500, i));
    world.peerSends(...sent, somePayload(90));
    const arrived = receiveAll(world);
    assertEquals(
      hex(arrived.flatMap(({ datagrams }) => datagrams)),
      hex([...sent, somePayload(90)]),
    );
    assertEquals(
      new Set(arrived.map(({ from }) => from)),
      new Set([world.peer]),
    );
  });

  test("has lost nothing", (world) => {
    world.peerSends(somePayload(10));
    receiveAll(world);
    assertEquals(world.port.droppedBySocket, 0);
  });
}
