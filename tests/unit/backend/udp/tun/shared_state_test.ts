import { assert, assertEquals } from "@std/assert";
import {
  COUNTER_NAMES,
  readCounters,
} from "../../../../../backend/udp/tun/counters.ts";
import * as layout from "../../../../../backend/udp/tun/layout.ts";
import { takePeerTable } from "../../../../../backend/udp/tun/peer_table_switch.ts";
import {
  added,
  address,
  KernelWorld,
  peer,
} from "../../../../support/kernel_world.ts";

const SOON_MS = 20;
const LONG_MS = 5_000;

/** Atomics.waitAsync alone does not keep the event loop going; an agent does. */
function stayAlive(): Disposable {
  const timer = setInterval(() => {}, 60_000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

const wanted = (world: KernelWorld) =>
  world.memory.words[layout.CONTROL_TABLE_WANTED >> 2]!;

Deno.test("each table is written next to the one in use", () => {
  const world = new KernelWorld();
  const first = wanted(world);
  world.state.changePeers(added());
  const second = wanted(world);
  assert(first !== second);
  world.state.changePeers(added());
  assertEquals(wanted(world), first);
});

Deno.test("a table that is being written does not change what the one in use answers", () => {
  const world = new KernelWorld({}, [peer("10.1.2.0/24", "192.0.2.2")]);
  for (let round = 3; round < 20; round++) {
    const before = world.kernel.peerOf(address("10.1.2.1")) >>> 0;
    world.state.changePeers(
      added(peer("10.1.2.0/24", `192.0.2.${round}`)),
    );
    assertEquals(world.kernel.peerOf(address("10.1.2.1")) >>> 0, before);
    takePeerTable(world.memory, world.kernel, layout.CONTROL_TABLE_ACTIVE);
    assertEquals(
      world.kernel.peerOf(address("10.1.2.1")) >>> 0,
      address(`192.0.2.${round}`),
    );
  }
});

Deno.test("peersTaken waits for the primary worker, and says so when it does not come", async () => {
  using _alive = stayAlive();
  const world = new KernelWorld();
  world.state.changePeers(added());
  assertEquals(await world.state.peersTaken(SOON_MS), false);
  const taken = world.state.peersTaken(LONG_MS);
  takePeerTable(world.memory, world.kernel, layout.CONTROL_TABLE_ACTIVE);
  assertEquals(await taken, true);
});

Deno.test("peersTaken waits for a helper that is ready, and not for one that is not", async () => {
  using _alive = stayAlive();
  const world = new KernelWorld();
  world.state.changePeers(added());
  takePeerTable(world.memory, world.kernel, layout.CONTROL_TABLE_ACTIVE);
  assertEquals(await world.state.peersTaken(SOON_MS), true);
  world.memory.words[layout.CONTROL_HELPER_READY >> 2] = 1;
  assertEquals(await world.state.peersTaken(SOON_MS), false);
  const taken = world.state.peersTaken(LONG_MS);
  takePeerTable(world.memory, world.kernel, layout.CONTROL_TABLE_HELPER);
  assertEquals(await taken, true);
});

Deno.test("requestStop is what the workers look at", () => {
  const world = new KernelWorld();
  world.state.requestStop();
  assertEquals(world.memory.words[layout.CONTROL_STOP >> 2], 1);
});

Deno.test("every counter has one name, and each name its own counter", () => {
  const indexes = Object.values(COUNTER_NAMES);
  assertEquals(new Set(indexes).size, indexes.length);
  const named = Object.entries(layout)
    .filter(([name]) => /^(TX|RX)_DROP_|^ICMP_(SENT|RATE|FAILED)/.test(name))
    .map(([, index]) => index as number);
  for (const index of named) assert(indexes.includes(index));
  assert(indexes.every((index) => index < layout.COUNTER_COUNT));
});

Deno.test("counters are read whole, also beyond 32 bits", () => {
  const world = new KernelWorld();
  world.kernel.addCount(layout.RX_BYTES, 0xffff_ffff);
  world.kernel.addCount(layout.RX_BYTES, 0xffff_ffff);
  assertEquals(
    readCounters(world.memory.memory.buffer)["rx.bytes"],
    2 * 0xffff_ffff,
  );
});

Deno.test("the parts of the memory do not overlap", () => {
  const parts: [string, number, number][] = [
    ["control", layout.CONTROL_STOP, 0x400],
    ["counters", layout.COUNTERS, layout.COUNTER_COUNT * layout.COUNTER_BYTES],
    [
      "headers",
      layout.TX_HEADERS,
      layout.MAX_SEGMENTS * layout.TX_HEADER_STRIDE,
    ],
    ["send iovecs", layout.TX_IOV, layout.MAX_SEGMENTS * 2 * 16],
    [
      "records",
      layout.RX_RECORDS,
      layout.RX_MAX_RECORDS * layout.RX_RECORD_STRIDE,
    ],
    ["iovecs", layout.RX_IOV, layout.RX_MAX_RECORDS * 2 * 16],
    [
      "merge iovecs",
      layout.RX_MERGE_IOV,
      layout.RX_MERGE_AREAS * layout.RX_MERGE_IOV_ENTRIES * 16,
    ],
    [
      "flows",
      layout.RX_OPEN_FLOWS,
      layout.RX_OPEN_FLOW_COUNT * layout.RX_OPEN_FLOW_STRIDE,
    ],
    ["ICMP requests", layout.ICMP_REQUESTS, layout.ICMP_MAX_REQUESTS * 8],
    [
      "system calls",
      layout.SYSTEM_CALL_AREA,
      layout.SYSTEM_CALL_AREA_END - layout.SYSTEM_CALL_AREA,
    ],
    ["drops of each reason", layout.DROPS_TAKEN, layout.COUNTER_COUNT * 4],
    ["drops from the TUN", layout.DROPS_TX, layout.DROPS_RING_BYTES],
    ["drops from peers", layout.DROPS_RX, layout.DROPS_RING_BYTES],
    // The last slot may hold the longest packet.
    [
      "packets from the TUN",
      layout.TX_BUFFER,
      (layout.TX_SLOTS - 1) * layout.TX_SLOT_BYTES + 10 + 65_535,
    ],
    [
      "packets from peers",
      layout.RX_BUFFER,
      layout.RX_BUFFER_COUNT * layout.RX_BUFFER_BYTES,
    ],
    ["tables", layout.TABLES, 1],
  ];
  for (const [index, [name, start, bytes]] of parts.entries()) {
    const [next, nextStart] = parts[index + 1] ?? ["the end", Infinity];
    assert(start + bytes <= nextStart, `${name} reaches into ${next}`);
  }
});
