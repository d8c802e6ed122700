import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import {
  frameOf,
  shortened,
  SlowPath,
} from "../../../../../backend/udp/ebpf/slow_path.ts";
import { BpfError } from "../../../../../linux/bpf/errors.ts";
import { ERRNO } from "../../../../../linux/errno.ts";
import type {
  UnderlayDatagram,
  UnderlayError,
} from "../../../../../linux/underlay_socket.ts";
import { internetChecksum } from "../../../../../net/checksum.ts";
import type { Ipv4 } from "../../../../../net/ipv4.ts";
import { FakeBpf } from "../../../../fakes/fake_bpf.ts";
import { FakeClock } from "../../../../fakes/fake_clock.ts";
import { FakeDescriptorWatch } from "../../../../fakes/fake_descriptor_watch.ts";
import { FakePacketPort } from "../../../../fakes/fake_packet_port.ts";
import { FakeUnderlaySocket } from "../../../../fakes/fake_underlay_socket.ts";
import { CapturedLogs } from "../../../../support/capture_logs.ts";
import { idleProgram } from "../../../../support/ebpf_world.ts";
import { address } from "../../../../support/kernel_world.ts";
import { somePayload, udpPacket } from "../../../../support/packet_builder.ts";

const HOP_INDEX = 10;
const OWN = address("192.0.2.1");
const PEER = address("192.0.2.2");
const REDIRECT = 7;
const DROP = 2;
const ETHERNET_BYTES = 14;
const OUTER_BYTES = 28;

const ICMP_ERROR = {
  address: PEER,
  port: 8285,
  origin: "icmp",
  reporter: address("198.51.100.1"),
  unreachableCode: undefined,
  mtuBytes: 1_400,
} as const;

const UNDERLAY = 2;
const MAC = Uint8Array.of(2, 0, 192, 0, 2, 1);

/** A datagram of the peer with a packet of that many bytes. */
function datagram(packetBytes: number): UnderlayDatagram {
  return {
    payload: udpPacket({
      source: address("10.1.2.2"),
      destination: address("10.1.1.2"),
      sourcePort: 1_000,
      destinationPort: 2_000,
      payload: somePayload(packetBytes - OUTER_BYTES),
    }),
    address: PEER,
    port: 8285,
    interfaceIndex: UNDERLAY,
  };
}

/** A socket, a program and the overlay's hop; the slow path runs. */
class World {
  readonly socket = new FakeUnderlaySocket();
  readonly watch = new FakeDescriptorWatch(1);
  readonly packets = new FakePacketPort();
  readonly bpf = new FakeBpf();
  readonly clock = new FakeClock();
  readonly learned: Ipv4[] = [];
  /** Frames that the program was run on. */
  readonly seen: Uint8Array[] = [];
  verdict = REDIRECT;
  isNew = true;
  ingress: ReturnType<typeof idleProgram> | undefined = idleProgram(
    this.bpf,
    "loden_rx_00000",
  );
  readonly slowPath: SlowPath;
  readonly running: Promise<void>;

  constructor() {
    this.packets.plugIn(HOP_INDEX, 65_535);
    this.answer();
    const receive = this.socket.receive.bind(this.socket);
    this.socket.receive = () => {
      const datagram = receive();
      this.watch.setReady(0, datagram !== undefined);
      return datagram;
    };
    // deno-lint-ignore no-this-alias
    const world = this;
    this.slowPath = new SlowPath(this, {
      underlayAddress: OWN,
      port: 8285,
      sourcePort: "hash",
      mtuBytes: 1_472,
      isPeer: (peer) => peer === PEER,
      get ingress() {
        return world.ingress;
      },
      hop: { interfaceIndex: HOP_INDEX },
      underlayMac: (index) => index === UNDERLAY ? MAC : undefined,
      onPathMtu: (peer) => {
        this.learned.push(peer);
        return this.isNew;
      },
    });
    this.running = this.slowPath.run();
  }

  /** As the program does: the outer headers come off. */
  answer(): void {
    this.bpf.answerTestRuns((_, { data }) => {
      this.seen.push(data);
      const frame = data.slice(OUTER_BYTES);
      frame.fill(0xee, 0, ETHERNET_BYTES);
      return { returnValue: this.verdict, data: frame, durationNs: 1 };
    });
  }

  /** Something has come. */
  async wake(): Promise<void> {
    this.watch.setReady(0, true);
    await this.clock.settle();
  }

  counters(): Record<string, number> {
    return Object.fromEntries(
      Object.entries(this.slowPath.counters()).filter(([, count]) => count > 0),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.slowPath.stop();
    await this.clock.advance(10_000);
    await this.running;
  }
}

Deno.test("a datagram is the frame that it would have been, with right headers", () => {
  const one = datagram(100);
  const frame = frameOf(one, { underlayAddress: OWN, port: 8285 });
  assertEquals(
    frame.subarray(0, 42).toHex(),
    "000000000000" + "000000000000" + "0800" +
      "4500" + "0080" + "00004000" + "4011" +
      frame.subarray(24, 26).toHex() + "c0000202" + "c0000201" +
      "205d" + "205d" + "006c" + "0000",
  );
  assertEquals(internetChecksum(frame.subarray(14, 34)), 0);
  assertEquals(frame.subarray(42), one.payload);
});

Deno.test("what the program accepts enters the overlay, with its Ethernet header", async () => {
  await using world = new World();
  const one = datagram(1_472);
  world.socket.bring(one);
  await world.wake();
  assertEquals(world.packets.sent, [{
    interfaceIndex: HOP_INDEX,
    frame: Uint8Array.of(...Array(ETHERNET_BYTES).fill(0xee), ...one.payload),
  }]);
  assertEquals(world.counters(), { "rx.slow.packets": 1 });
});

Deno.test("what the program drops goes nowhere", async () => {
  await using world = new World();
  world.verdict = DROP;
  world.socket.bring(datagram(100));
  await world.wake();
  assertEquals(world.packets.sent, []);
  assertEquals(world.counters(), { "rx.slow.packets": 1 });
});

Deno.test("before a program is loaded nothing is accepted", async () => {
  await using world = new World();
  world.ingress = undefined;
  world.socket.bring(datagram(100));
  await world.wake();
  assertEquals([world.packets.sent, world.seen], [[], []]);
});

Deno.test("a packet larger than the overlay's MTU is judged, counted and dropped", async () => {
  await using world = new World();
  world.socket.bring(datagram(1_473));
  world.verdict = REDIRECT;
  await world.wake();
  world.verdict = DROP;
  world.socket.bring(datagram(1_473));
  await world.wake();
  assertEquals(world.packets.sent, []);
  assertEquals(world.seen.length, 2);
  assertEquals(world.counters(), {
    "rx.slow.packets": 2,
    "rx.slow.drop.tooBig": 1,
  });
});

Deno.test("what the device does not take is counted", async () => {
  await using world = new World();
  world.packets.plugIn(HOP_INDEX, 65_535, false);
  world.socket.bring(datagram(100));
  await world.wake();
  assertEquals(world.counters(), {
    "rx.slow.packets": 1,
    "rx.slow.drop.device": 1,
  });
});

Deno.test("what the socket lost is counted", async () => {
  await using world = new World();
  world.socket.dropped = 3;
  world.socket.truncated = 2;
  assertEquals(world.counters(), { "rx.slow.drop.socketFull": 5 });
});

Deno.test("a router's word about the path is passed on, and counted when it is new", async () => {
  await using world = new World();
  world.socket.bringError({ ...ICMP_ERROR, errno: ERRNO.EMSGSIZE });
  await world.wake();
  world.isNew = false;
  world.socket.bringError({ ...ICMP_ERROR, errno: ERRNO.EMSGSIZE });
  await world.wake();
  assertEquals(world.learned, [PEER, PEER]);
  assertEquals(world.counters(), { "tx.pathMtuLearned": 1 });
});

Deno.test("other errors about packets tell nothing of the path, and keep no datagram out", async () => {
  await using world = new World();
  for (const errno of [ERRNO.ECONNREFUSED, ERRNO.EHOSTUNREACH]) {
    world.socket.bringError({ ...ICMP_ERROR, errno });
  }
  world.socket.bring(datagram(100));
  await world.wake();
  assertEquals(world.learned, []);
  assertEquals(world.packets.sent.length, 1);
});

Deno.test("a firewall that refuses packets to a peer is named, once an hour", async () => {
  using logs = new CapturedLogs();
  await using world = new World();
  const refuse = async () => {
    for (const unreachableCode of [13, 9, 10, 3]) {
      world.socket.bringError({
        ...ICMP_ERROR,
        errno: ERRNO.EHOSTUNREACH,
        unreachableCode,
      });
    }
    await world.wake();
  };
  await refuse();
  await refuse();
  const [event, ...others] = logs.events("backend.packets-refused");
  assertEquals(others, []);
  assertEquals([event!.peer, event!.firewall], ["192.0.2.2", "198.51.100.1"]);
  assertMatch(String(event!.hint), /49152-65535 .*--source-port=fixed/);
  await world.clock.advance(3_600_000);
  await refuse();
  assertEquals(logs.events("backend.packets-refused").length, 2);
});

/** Errors that name no firewall. */
const NO_FIREWALL: readonly [string, Partial<UnderlayError>][] = [
  ["a host that is down", { unreachableCode: 1 }],
  ["a peer without an agent", { unreachableCode: 3, reporter: PEER }],
  ["an address that is no peer", { unreachableCode: 13, address: OWN }],
  ["another port", { unreachableCode: 13, port: 53 }],
  ["this host", { unreachableCode: 13, reporter: undefined }],
];
for (const [what, error] of NO_FIREWALL) {
  Deno.test(`an error about ${what} names no firewall`, async () => {
    using logs = new CapturedLogs();
    await using world = new World();
    world.socket.bringError({
      ...ICMP_ERROR,
      errno: ERRNO.EHOSTUNREACH,
      ...error,
    });
    await world.wake();
    assertEquals(logs.events("backend.packets-refused"), []);
  });
}

Deno.test("many datagrams are taken in turns, and between them others have theirs", async () => {
  await using world = new World();
  for (let i = 0; i < 150; i++) world.socket.bring(datagram(100));
  world.watch.setReady(0, true);
  await world.clock.settle();
  assertEquals(world.packets.sent.length, 64);
  await world.clock.advance(20);
  assertEquals(world.packets.sent.length, 128);
  await world.clock.advance(20);
  assertEquals(world.packets.sent.length, 150);
});

Deno.test("a refused run is logged, and the next datagram is handled", async () => {
  using logs = new CapturedLogs();
  await using world = new World();
  world.bpf.failWith("testRun", new BpfError("run", ERRNO.ENOMEM));
  world.socket.bring(datagram(100));
  await world.wake();
  assertEquals(logs.events("backend.slow-path-failed").length, 1);
  world.bpf.failWith("testRun", undefined);
  world.socket.bring(datagram(100));
  await world.clock.advance(1_000);
  await world.wake();
  assertEquals(world.packets.sent.length, 1);
});

Deno.test("a lasting refusal is logged once, and again when it comes back", async () => {
  using logs = new CapturedLogs();
  await using world = new World();
  const bring = async () => {
    world.socket.bring(datagram(100));
    await world.wake();
    await world.clock.advance(1_000);
  };
  world.bpf.failWith("testRun", new BpfError("run", ERRNO.ENOMEM));
  await bring();
  await bring();
  assertEquals(logs.events("backend.slow-path-failed").length, 1);
  world.bpf.failWith("testRun", undefined);
  await bring();
  world.bpf.failWith("testRun", new BpfError("run", ERRNO.ENOMEM));
  await bring();
  assertEquals(logs.events("backend.slow-path-failed").length, 2);
});

Deno.test("a stop does not wait for the rest after a failure", async () => {
  const world = new World();
  world.bpf.failWith("testRun", new BpfError("run", ERRNO.ENOMEM));
  world.socket.bring(datagram(100));
  await world.wake();
  await world.slowPath.stop();
  await world.running;
  assertEquals(world.watch.stopped, true);
});

Deno.test("a stop ends the run, also while nothing comes", async () => {
  const world = new World();
  await world.slowPath.stop();
  await world.running;
  world.socket.bring(datagram(100));
  await world.wake();
  assertEquals(world.seen, []);
});

Deno.test("a datagram that a test run takes is not shortened", () => {
  const one = datagram(2_048);
  assertEquals(shortened(one), one);
});

Deno.test("a long datagram is shortened to one that is as right", () => {
  fc.assert(fc.property(fc.integer({ min: 2_049, max: 65_507 }), (bytes) => {
    const { payload } = shortened(datagram(bytes));
    assertEquals(payload.length, 2_048);
    assertEquals(new DataView(payload.buffer).getUint16(2), 2_048);
    assertEquals(internetChecksum(payload.subarray(0, 20)), 0);
  }));
});

Deno.test("a long datagram with a wrong checksum or length is shortened to one that is as wrong", () => {
  const lengths = fc.integer({ min: 2_049, max: 65_507 });
  const errors = fc.integer({ min: 1, max: 0xfffe });
  fc.assert(fc.property(lengths, errors, (bytes, error) => {
    for (const field of [2, 10]) {
      const one = datagram(bytes);
      const view = new DataView(one.payload.buffer, one.payload.byteOffset);
      view.setUint16(field, (view.getUint16(field) + error) & 0xffff);
      const wrongSum = internetChecksum(one.payload.subarray(0, 20)) !== 0;
      const { payload } = shortened(one);
      const short = new DataView(payload.buffer);
      assertEquals(
        internetChecksum(payload.subarray(0, 20)) !== 0,
        wrongSum,
      );
      assertEquals(short.getUint16(2) !== payload.length, field === 2);
    }
  }));
});

Deno.test("shortening leaves the datagram as it came", () => {
  const one = datagram(4_000);
  const before = one.payload.slice();
  assert(shortened(one).payload !== one.payload);
  assertEquals(one.payload, before);
});

Deno.test("what comes by another device than an underlay does not get in, and is counted", async () => {
  const world = new World();
  world.socket.bring({ ...datagram(100), interfaceIndex: UNDERLAY + 1 });
  await world.wake();
  assertEquals(world.seen, []);
  assertEquals(world.packets.sent, []);
  assertEquals(world.counters(), {
    "rx.slow.packets": 1,
    "rx.slow.drop.otherDevice": 1,
  });
  await world.watch.stop();
  await world.running;
});
