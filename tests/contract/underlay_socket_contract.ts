/**
 * What every {@linkcode UnderlaySocket} does. Run on the kernel's and on the
 * fake.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { ERRNO } from "../../linux/errno.ts";
import type {
  UnderlayDatagram,
  UnderlaySocket,
} from "../../linux/underlay_socket.ts";
import { type Ipv4, parseIpv4 } from "../../net/ipv4.ts";
import { somePayload } from "../support/packet_builder.ts";

export const SOCKET_PORT = 8285;
export const SOCKET_DATAGRAM_BYTES = 2000;
const PATIENCE_MS = 5000;
/** Addresses of the hosts around the socket. */
export const PEER: Ipv4 = parseIpv4("10.3.0.9")!;
export const ROUTER: Ipv4 = parseIpv4("10.2.0.2")!;

/**
 * A socket on {@linkcode SOCKET_PORT} with {@linkcode SOCKET_DATAGRAM_BYTES} of
 * memory.
 */
export interface UnderlaySocketWorld extends Disposable {
  readonly socket: UnderlaySocket;
  /** The device by which datagrams arrive. */
  readonly interfaceIndex: number;
  /** A datagram from {@linkcode PEER} arrives. */
  peerSends(sourcePort: number, payload: Uint8Array): void;
  /** {@linkcode ROUTER} could not pass on a packet from the socket's port to PEER. */
  routerRefuses(mtuBytes: number): void;
  /** PEER got one, and has no socket on that port. */
  peerRefuses(): void;
  /** Waits a moment for something to receive, datagram or error. */
  settle(): void;
}

/** Registers the tests; `makeWorld` makes a new world for each. */
export function underlaySocketContract(
  implementation: string,
  makeWorld: () => UnderlaySocketWorld,
): void {
  const test = (
    sentence: string,
    prove: (world: UnderlaySocketWorld) => void,
  ) =>
    Deno.test(`${implementation} ${sentence}`, () => {
      using world = makeWorld();
      prove(world);
    });
  /** One that is on its way. */
  const next = <Item>(world: UnderlaySocketWorld, receive: () => Item) => {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
      const item = receive();
      if (item !== undefined) return item;
      world.settle();
    }
    throw new Error("it never arrived");
  };
  const nextDatagram = (world: UnderlaySocketWorld) => {
    const { payload, address, port } = next<UnderlayDatagram | undefined>(
      world,
      () => world.socket.receive(),
    )!;
    return [payload.toHex(), address, port];
  };
  const nextError = (world: UnderlaySocketWorld) =>
    next(world, () => world.socket.receiveError());
  const tooBig = (mtuBytes: number) => ({
    address: PEER,
    port: SOCKET_PORT,
    origin: "icmp" as const,
    reporter: ROUTER,
    errno: ERRNO.EMSGSIZE,
    unreachableCode: 4,
    mtuBytes,
  });

  test("has nothing to begin with", ({ socket }) => {
    assertEquals(socket.receive(), undefined);
    assertEquals(socket.receiveError(), undefined);
  });

  test("receives datagrams in order with their sender", (world) => {
    const payloads = [somePayload(100), new Uint8Array(), somePayload(1400, 3)];
    payloads.forEach((payload, index) =>
      world.peerSends(8285 + index, payload)
    );
    for (const [index, payload] of payloads.entries()) {
      assertEquals(nextDatagram(world), [payload.toHex(), PEER, 8285 + index]);
    }
    assertEquals(world.socket.receive(), undefined);
  });

  test("says by which device a datagram came", (world) => {
    world.peerSends(8285, somePayload(10));
    const { interfaceIndex } = next(world, () => world.socket.receive())!;
    assertEquals(interfaceIndex, world.interfaceIndex);
  });

  test("keeps what it gave when it receives again", (world) => {
    world.peerSends(1, somePayload(40));
    const first = next(world, () => world.socket.receive())!;
    world.peerSends(1, somePayload(40, 7));
    nextDatagram(world);
    assertEquals(first.payload.toHex(), somePayload(40).toHex());
  });

  test("counts a datagram that is larger than its memory and goes on", (world) => {
    world.peerSends(1, somePayload(SOCKET_DATAGRAM_BYTES));
    world.peerSends(2, somePayload(SOCKET_DATAGRAM_BYTES + 1));
    world.peerSends(3, somePayload(10));
    assertEquals([1, 2].map(() => nextDatagram(world)[2]), [1, 3]);
    assertEquals(world.socket.truncated, 1);
  });

  test("tells the MTU of a path, once", (world) => {
    world.routerRefuses(1300);
    assertEquals(nextError(world), tooBig(1300));
    assertEquals(world.socket.receiveError(), undefined);
  });

  test("tells errors in order and without an MTU where there is none", (world) => {
    world.routerRefuses(1300);
    world.peerRefuses();
    world.routerRefuses(0);
    assertEquals([1, 2, 3].map(() => nextError(world)), [
      tooBig(1300),
      {
        address: PEER,
        port: SOCKET_PORT,
        origin: "icmp",
        reporter: PEER,
        errno: ERRNO.ECONNREFUSED,
        unreachableCode: 3,
        mtuBytes: undefined,
      },
      tooBig(0),
    ]);
  });

  test("receives datagrams as if there were no errors", (world) => {
    world.routerRefuses(1300);
    world.peerSends(1, somePayload(20));
    world.peerRefuses();
    world.peerSends(2, somePayload(20));
    assertEquals([1, 2].map(() => nextDatagram(world)[2]), [1, 2]);
    assert(world.socket.receiveError());
    assert(world.socket.receiveError());
  });
}
