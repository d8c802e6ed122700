import { assert, assertEquals, assertThrows } from "@std/assert";
import { ERRNO, SystemCallError } from "../../linux/errno.ts";
import { libc } from "../../linux/libc.ts";
import { waitWritable } from "../../linux/poll.ts";
import {
  KernelUdpPort,
  openUdpSocket,
  UDP_PORT_AREA_BYTES,
} from "../../linux/udp_socket.ts";
import * as layout from "../../backend/udp/tun/layout.ts";
import { writeIovec } from "../support/gather.ts";
import { address, KernelWorld } from "../support/kernel_world.ts";
import { somePayload } from "../support/packet_builder.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import { udpPortContract, type UdpWorld } from "./udp_port_contract.ts";

const PORT = 8285;
const OWN = address("127.0.0.1");
const PEER = address("127.0.0.2");
const PEER_DATA = 0x50000;
const PEER_IOVEC = 0x6800;
const PEER_BUFFER = 0xa0000;
const IOVEC = 0x6000;
const ROUTE = ["dev", "lo", "src", "127.0.0.1", "mtu", "600"];

interface Features {
  readonly segment: boolean;
  readonly gro: boolean;
  readonly bufferBytes: number;
}

function open(own: number, features: Partial<Features> = {}) {
  return openUdpSocket({
    address: own as typeof OWN,
    port: PORT,
    segment: true,
    gro: true,
    bufferBytes: 1 << 20,
    ...features,
  });
}

/** Two sockets on the loopback device, whose MTU is that of an Ethernet. */
function kernelWorld(features: Partial<Features> = {}): UdpWorld {
  runSync("ip", ["link", "set", "lo", "mtu", "1500"]);
  const { memory } = new KernelWorld();
  const own = open(OWN, features);
  const peer = open(PEER, { gro: false });
  const port = (descriptor: number, index: number) =>
    new KernelUdpPort(
      descriptor,
      PORT,
      memory,
      layout.SYSTEM_CALL_AREA + index * UDP_PORT_AREA_BYTES,
    );
  const peerPort = port(peer.descriptor, 1);
  return {
    memory,
    port: port(own.descriptor, 0),
    own: OWN,
    peer: PEER,
    unreachable: address("203.0.113.1"),
    peerSends(...datagrams) {
      const bytes = Uint8Array.from(datagrams.flatMap((one) => [...one]));
      memory.bytes.set(bytes, PEER_DATA);
      writeIovec(memory, PEER_IOVEC, PEER_DATA, bytes.length);
      const segmentBytes = datagrams.length > 1 ? datagrams[0]!.length : 0;
      const sent = peerPort.send(OWN, PEER_IOVEC, 1, segmentBytes);
      assertEquals(sent, bytes.length);
    },
    peerReceives() {
      const datagrams: Uint8Array[] = [];
      for (;;) {
        const bytes = peerPort.receive(PEER_BUFFER, 0x10000);
        if (bytes < 0) return datagrams;
        datagrams.push(memory.bytes.slice(PEER_BUFFER, PEER_BUFFER + bytes));
      }
    },
    [Symbol.dispose]() {
      libc().close(own.descriptor);
      libc().close(peer.descriptor);
    },
  };
}

function kernelTests(): void {
  Deno.test("KernelUdpPort receives what was sent at once in one call, with UDP_GRO", () => {
    using world = kernelWorld();
    world.peerSends(...Array.from({ length: 10 }, () => somePayload(500)));
    assertEquals(world.port.receive(layout.RX_BUFFER, 0x10000), 5_000);
    assertEquals(world.port.receivedSegmentBytes, 500);
  });

  Deno.test("KernelUdpPort counts what its full buffer has cost", () => {
    using world = kernelWorld({ bufferBytes: 5_000 });
    for (let i = 0; i < 100; i++) world.peerSends(somePayload(1_000));
    let received = 0;
    const drain = () => {
      while (world.port.receive(layout.RX_BUFFER, 0x10000) >= 0) received++;
    };
    drain();
    // The socket tells with the next datagram.
    world.peerSends(somePayload(1));
    drain();
    assert(received < 100);
    assertEquals(world.port.droppedBySocket, 101 - received);
  });

  Deno.test("a port in use is refused with a solution", () => {
    using _world = kernelWorld();
    const error = assertThrows(() => open(OWN), SystemCallError);
    assertEquals(error.errno, ERRNO.EADDRINUSE);
    assertEquals(
      error.message,
      "Cannot listen on UDP 127.0.0.1:8285: the kernel answered EADDRINUSE",
    );
    assert(error.hint?.includes("Backend.Port"));
  });

  Deno.test("an address that is not on the host is refused with the reason", () => {
    const error = assertThrows(
      () => open(address("192.0.2.9")),
      SystemCallError,
    );
    assertEquals(error.errno, ERRNO.EADDRNOTAVAIL);
    assert(error.hint?.includes("no longer on this host"));
  });

  Deno.test("a refused socket leaves no descriptor behind", () => {
    using _world = kernelWorld();
    const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
    const before = descriptors();
    assertThrows(() => open(OWN), SystemCallError);
    assertEquals(descriptors(), before);
  });

  Deno.test("KernelUdpPort sends over a path that the kernel takes for narrow, without DF", () => {
    using world = kernelWorld();
    runSync("ip", ["route", "replace", "local", "127.0.0.2", ...ROUTE]);
    const send = (how: "send" | "sendUnlimited", bytes: number) => {
      world.memory.bytes.set(somePayload(bytes), PEER_DATA);
      writeIovec(world.memory, IOVEC, PEER_DATA, bytes);
      return world.port[how](world.peer, IOVEC, 1, 0);
    };
    assertEquals(world.port.pathMtuBytes(world.peer), 600);
    assertEquals(send("send", 1_000), -ERRNO.EMSGSIZE);
    assertEquals(send("sendUnlimited", 1_000), 1_000);
    assertEquals(send("send", 1_000), -ERRNO.EMSGSIZE);
    assertEquals(send("send", 500), 500);
    assertEquals(
      world.peerReceives().map(({ length }) => length),
      [1_000, 500],
    );
    runSync("ip", ["route", "delete", "local", "127.0.0.2", "dev", "lo"]);
  });

  Deno.test("the socket says which features it has", () => {
    const features = (wanted: Partial<Features>) => {
      const socket = open(OWN, wanted);
      libc().close(socket.descriptor);
      return [socket.segment, socket.gro];
    };
    assertEquals(features({}), [true, true]);
    assertEquals(features({ segment: false }), [false, true]);
    assertEquals(features({ gro: false }), [true, false]);
  });

  Deno.test("waiting for room ends at once where there is room", () => {
    const socket = open(OWN);
    const start = performance.now();
    waitWritable(socket.descriptor, 5_000);
    assert(performance.now() - start < 1_000);
    libc().close(socket.descriptor);
  });
}

testInNamespace("KernelUdpPort keeps its contract", import.meta.url, () => {
  udpPortContract("KernelUdpPort", kernelWorld);
  udpPortContract(
    "KernelUdpPort without UDP_GRO",
    () => kernelWorld({ gro: false }),
  );
  kernelTests();
});
