import { assert, assertEquals, assertThrows } from "@std/assert";
import { PROGRAM_COUNTERS } from "../../../../../backend/udp/ebpf/counters.ts";
import {
  decodeDropRecord,
  DROP,
  DROP_MAPS,
  LISTENER,
} from "../../../../../backend/udp/ebpf/drop_maps.ts";
import {
  canRecordDrops,
  KernelDrops,
} from "../../../../../backend/udp/ebpf/kernel_drops.ts";
import type { BpfMap } from "../../../../../linux/bpf/bpf.ts";
import { BpfError } from "../../../../../linux/bpf/errors.ts";
import { ERRNO } from "../../../../../linux/errno.ts";
import type { DroppedPacket } from "../../../../../net/dropped_packet.ts";
import { formatIpv4 } from "../../../../../net/ipv4.ts";
import { arriving, inner } from "../../../../contract/packet_fates_contract.ts";
import { FakeBpf } from "../../../../fakes/fake_bpf.ts";

const SECOND_NS = 1_000_000_000n;

/** A data path whose programs record what they are told to. */
class World {
  readonly bpf = new FakeBpf();
  readonly maps: {
    readonly loden_listener: BpfMap;
    readonly loden_drops: BpfMap;
  } = {
    loden_listener: this.bpf.createMap(DROP_MAPS.loden_listener),
    loden_drops: this.bpf.createMap(DROP_MAPS.loden_drops),
  };
  nowNs = 1_000n * SECOND_NS;
  readonly drops = new KernelDrops({
    bpf: this.bpf,
    maps: this.maps,
    bootTimeNs: () => this.nowNs,
    now: () => 5_000_000,
    deviceName: (index) => index === 2 ? "eth0" : undefined,
    port: 8285,
  });

  /** Until when the agent asks, in seconds from now; 0: it does not. */
  get asksSeconds(): number {
    const value = this.maps.loden_listener.lookup(new Uint8Array(4))!;
    const untilNs = new DataView(value.buffer).getBigUint64(
      LISTENER.UNTIL,
      true,
    );
    return untilNs === 0n ? 0 : Number(untilNs - this.nowNs) / 1e9;
  }

  record(
    reason: number,
    frame: Uint8Array,
    { interfaceIndex = 2, ageMs = 0 } = {},
  ): void {
    const bytes = new Uint8Array(DROP.BYTES);
    const view = new DataView(bytes.buffer);
    const captured = frame.subarray(0, DROP.CAPTURE_BYTES);
    view.setBigUint64(DROP.TIME, this.nowNs - BigInt(ageMs * 1e6), true);
    view.setUint32(DROP.REASON, reason, true);
    view.setUint32(DROP.INTERFACE, interfaceIndex, true);
    view.setUint32(DROP.LENGTH, frame.length, true);
    view.setUint32(DROP.CAPTURED, captured.length, true);
    bytes.set(captured, DROP.DATA);
    this.bpf.maps.find(({ id }) => id === this.maps.loden_drops.id)!
      .records.push(bytes);
  }
}

const UNKNOWN_SENDER = PROGRAM_COUNTERS.indexOf("rx.drop.unknownSender");
const NO_PEER = PROGRAM_COUNTERS.indexOf("tx.drop.noPeer");
const describe = ({ inner, outer }: DroppedPacket) =>
  [outer, inner].map((flow) =>
    flow &&
    `${formatIpv4(flow.source)}:${flow.sourcePort} > ` +
      `${formatIpv4(flow.destination)}:${flow.destinationPort}`
  );

Deno.test("programs record from the first read to the end, and not without it", () => {
  const world = new World();
  assertEquals(world.asksSeconds, 0);
  world.drops.read();
  assertEquals(world.asksSeconds, 5);
  world.drops.end();
  assertEquals(world.asksSeconds, 0);
});

Deno.test("the question is asked again before it runs out, and not at every read", () => {
  const world = new World();
  world.drops.read();
  world.nowNs += SECOND_NS / 2n;
  world.drops.read();
  assertEquals(world.asksSeconds, 4.5);
  world.nowNs += SECOND_NS;
  world.drops.read();
  assertEquals(world.asksSeconds, 5);
});

Deno.test("what was recorded for an earlier listener is not told", () => {
  const world = new World();
  world.record(UNKNOWN_SENDER, arriving(inner()));
  assertEquals(world.drops.read(), []);
  world.drops.end();
  world.record(UNKNOWN_SENDER, arriving(inner()));
  assertEquals(world.drops.read(), []);
});

Deno.test("a packet of the underlay is told with its reason, device, time and both flows", () => {
  const world = new World();
  world.drops.read();
  const frame = arriving(inner(), { source: "192.0.2.99" });
  world.record(UNKNOWN_SENDER, frame, { ageMs: 40 });
  const [packet] = world.drops.read();
  assertEquals(packet!.reason, "rx.drop.unknownSender");
  assertEquals(packet!.device, "eth0");
  assertEquals(packet!.timeMs, 5_000_000 - 40);
  assertEquals(packet!.lengthBytes, frame.length);
  assertEquals(packet!.bytes, frame.slice(0, DROP.CAPTURE_BYTES));
  assertEquals(describe(packet!), [
    "192.0.2.99:8285 > 192.0.2.1:8285",
    "10.1.2.5:1000 > 10.1.1.7:2000",
  ]);
});

Deno.test("a packet of the overlay has no outer one, also if a container speaks the same port", () => {
  const world = new World();
  world.drops.read();
  const sent = arriving(inner());
  world.record(NO_PEER, sent, { interfaceIndex: 9 });
  const [packet] = world.drops.read();
  assertEquals(packet!.device, "interface 9");
  assertEquals(describe(packet!), [
    undefined,
    "192.0.2.2:8285 > 192.0.2.1:8285",
  ]);
});

Deno.test("frames that are cut short, or are not IPv4, are told without addresses", () => {
  const world = new World();
  world.drops.read();
  const frame = arriving(inner());
  const other = frame.slice();
  other[12] = 0x86;
  for (const each of [frame.slice(0, 13), frame.slice(0, 30), other]) {
    world.record(UNKNOWN_SENDER, each);
  }
  world.record(UNKNOWN_SENDER, frame.slice(0, 50));
  assertEquals(world.drops.read().map(describe), [
    [undefined, undefined],
    [undefined, undefined],
    [undefined, undefined],
    ["192.0.2.2:8285 > 192.0.2.1:8285", undefined],
  ]);
});

Deno.test("records of a program with other reasons, and none at all, are left out", () => {
  const world = new World();
  world.drops.read();
  world.record(LISTENER.REASONS - 1, arriving(inner()));
  assertEquals(world.drops.read(), []);
  assertEquals(decodeDropRecord(new Uint8Array(DROP.DATA - 1)), undefined);
});

Deno.test("the ring is let go at the end, and can be read again", () => {
  const world = new World();
  world.drops.read();
  world.maps.loden_drops[Symbol.dispose]();
  assertEquals(world.bpf.maps.length, 2);
  world.drops.end();
  assertEquals(world.bpf.maps.length, 1);
});

Deno.test("each reason has a number that the listener's value has room for", () => {
  assert(PROGRAM_COUNTERS.length <= LISTENER.REASONS);
  assertEquals(LISTENER.REASONS & (LISTENER.REASONS - 1), 0);
});

Deno.test("a kernel without ring buffers is told from one that refuses for another reason", () => {
  using bpf = new FakeBpf();
  assertEquals(canRecordDrops(bpf), true);
  assertEquals(bpf.maps, []);
  bpf.failWith("createMap", new BpfError("create a map", ERRNO.EINVAL));
  assertEquals(canRecordDrops(bpf), false);
  bpf.failWith("createMap", new BpfError("create a map", ERRNO.EPERM));
  assertThrows(() => canRecordDrops(bpf), BpfError);
});
