import { assert, assertEquals } from "@std/assert";
import type { LogRecord } from "@logtape/logtape";
import {
  type EventStream,
  Monitor,
} from "../../../../agent/monitor/monitor.ts";
import {
  type EventOf,
  type MonitorEvent,
  parseMonitorEvent,
} from "../../../../agent/monitor/monitor_event.ts";
import { AgentState, type DropSource } from "../../../../agent/status/state.ts";
import type { BackendStatus } from "../../../../backend/backend.ts";
import type {
  DroppedPacket,
  DropReader,
} from "../../../../net/dropped_packet.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { added, address, peer } from "../../../support/kernel_world.ts";

const READ_MS = 100;
const SECOND_MS = 1_000;

/** A data path that drops what it is told to. */
class FakeDrops implements DropReader {
  readonly reasons = ["rx.drop.short", "tx.drop.noPeer"];
  readonly link = "ip";
  pending: DroppedPacket[] = [];
  reads = 0;
  isRecording = false;
  failure: Error | undefined;
  onRead = () => {};

  read(): DroppedPacket[] {
    this.reads++;
    this.isRecording = true;
    if (this.failure) throw this.failure;
    const packets = this.pending.splice(0);
    // The tenth after the one at the beginning: then drops are counted, too.
    if (this.reads === 11) this.onRead();
    return packets;
  }

  end(): void {
    this.isRecording = false;
  }
}

class World {
  readonly clock = new FakeClock();
  readonly state = new AgentState({
    version: "1.2.3",
    pid: 1,
    instance: "net",
    etcdPrefix: "/net",
    etcdEndpoints: [],
  }, this.clock);
  readonly drops = new FakeDrops();
  readonly observers = new Set<(record: LogRecord) => void>();
  readonly monitor = new Monitor({
    state: this.state,
    clock: this.clock,
    observeLog: (observer) => {
      this.observers.add(observer);
      return () => this.observers.delete(observer);
    },
  });
  sources: DropSource[] = [
    { backendType: "udp", reader: this.drops, kernelAlone: false },
  ];
  counters: Record<string, number> = {};
  /** Why the backend's counters cannot be read. */
  failure: Error | undefined;

  constructor() {
    this.state.attach({
      backend: () => this.backend,
      dropSources: () => this.sources,
    });
  }

  get backend(): BackendStatus {
    if (this.failure) throw this.failure;
    return {
      type: this.sources[0]?.backendType ?? "none",
      dataPath: "tun",
      reason: "",
      device: "flannel0",
      peers: 0,
      counters: { ...this.counters },
    };
  }

  listen(bytes = true): EventStream {
    return this.monitor.listen({ bytes });
  }

  log(event: string, level: LogRecord["level"] = "info"): void {
    for (const observer of this.observers) {
      observer({
        category: ["loden", "agent"],
        level,
        message: ["something happened"],
        rawMessage: "something happened",
        timestamp: this.clock.now(),
        properties: { event, subnet: "10.1.2.0/24" },
      });
    }
  }
}

/** Answers that have been asked for and did not come yet. */
const asked = new WeakMap<EventStream, Promise<string | undefined>>();

/** What is there now. */
async function eventsOf(stream: EventStream): Promise<MonitorEvent[]> {
  const events: MonitorEvent[] = [];
  for (;;) {
    const next = asked.get(stream) ?? stream.next();
    asked.set(stream, next);
    const text = await Promise.race([
      next,
      new Promise<string>((resolve) => setTimeout(() => resolve(""), 0)),
    ]);
    if (text === "") return events;
    asked.delete(stream);
    if (text === undefined) return events;
    for (const line of text.trimEnd().split("\n")) {
      events.push(parseMonitorEvent(line)!);
    }
  }
}

const types = (events: readonly MonitorEvent[]) =>
  events.map(({ type }) => type);

const PACKET: DroppedPacket = {
  timeMs: Date.UTC(2026, 0, 1, 0, 0, 1),
  reason: "rx.drop.short",
  device: "eth0",
  lengthBytes: 1_400,
  link: "ip",
  bytes: Uint8Array.of(0x45, 1),
  outer: { source: address("192.0.2.9"), destination: address("192.0.2.1") },
};

Deno.test("nothing is read, recorded or observed without a listener", async () => {
  const world = new World();
  await world.clock.advance(SECOND_MS);
  assertEquals([world.drops.reads, world.observers.size], [0, 0]);
});

Deno.test("a stream begins with the agent and with what it can tell", async () => {
  const world = new World();
  using stream = world.listen();
  assertEquals(await eventsOf(stream), [
    {
      type: "start",
      time: "2026-01-01T00:00:00.000Z",
      schema: 1,
      version: "1.2.3",
      instance: "net",
      bytes: true,
    },
    {
      type: "source",
      time: "2026-01-01T00:00:00.000Z",
      backend: "udp",
      dataPath: "tun",
      drops: true,
      why: null,
      reasons: ["rx.drop.short", "tx.drop.noPeer"],
      link: "ip",
    },
  ]);
});

Deno.test("drops are read ten times a second while there is a listener, and not after the last one", async () => {
  const world = new World();
  const first = world.listen();
  const second = world.listen();
  assert(world.drops.isRecording);
  await world.clock.advance(10 * READ_MS);
  assertEquals(world.drops.reads, 11);
  first[Symbol.dispose]();
  assert(world.drops.isRecording);
  second[Symbol.dispose]();
  assertEquals([world.drops.isRecording, world.observers.size], [false, 0]);
  await world.clock.advance(SECOND_MS);
  assertEquals(world.drops.reads, 11);
  assertEquals(world.monitor.listeners, 0);
});

Deno.test("a drop is told to each listener, its bytes only to those who may see them", async () => {
  const world = new World();
  using root = world.listen(true);
  using other = world.listen(false);
  await eventsOf(root);
  await eventsOf(other);
  world.drops.pending = [PACKET];
  await world.clock.advance(READ_MS);
  const [event] = await eventsOf(root);
  const { bytes, ...rest } = event as MonitorEvent & { bytes: string };
  assertEquals(bytes, "4501");
  assertEquals(rest as unknown, {
    type: "drop",
    time: "2026-01-01T00:00:01.000Z",
    reason: "rx.drop.short",
    device: "eth0",
    lengthBytes: 1_400,
    outer: {
      source: "192.0.2.9",
      destination: "192.0.2.1",
      protocol: null,
      sourcePort: null,
      destinationPort: null,
    },
    inner: null,
    link: "ip",
  });
  assertEquals(await eventsOf(other), [rest as MonitorEvent]);
});

Deno.test("drops that are only counted are told once a second, by reason", async () => {
  const world = new World();
  world.counters = { "rx.drop.short": 7, "rx.packets": 1 };
  using stream = world.listen();
  await eventsOf(stream);
  world.counters = { "rx.drop.short": 107, "rx.packets": 900 };
  world.drops.pending = [PACKET, PACKET];
  await world.clock.advance(SECOND_MS);
  const [more, ...shown] = (await eventsOf(stream)).toReversed();
  assertEquals(types(shown), ["drop", "drop"]);
  assertEquals(
    [
      more!.type,
      "reason" in more! && more.reason,
      "count" in more! && more.count,
    ],
    ["suppressed", "rx.drop.short", 98],
  );
  await world.clock.advance(SECOND_MS);
  assertEquals(await eventsOf(stream), []);
});

Deno.test("a drop that is shown before its counter is read is not counted twice", async () => {
  const world = new World();
  using stream = world.listen();
  await eventsOf(stream);
  world.drops.pending = [PACKET];
  await world.clock.advance(SECOND_MS);
  world.counters = { "rx.drop.short": 1 };
  await world.clock.advance(SECOND_MS);
  assertEquals(types(await eventsOf(stream)), ["drop"]);
});

Deno.test("a drop between the two looks is shown, and not counted beside", async () => {
  const world = new World();
  using stream = world.listen();
  await eventsOf(stream);
  world.drops.onRead = () => {
    world.counters = { "rx.drop.short": 1 };
    world.drops.pending = [PACKET];
  };
  await world.clock.advance(3 * SECOND_MS);
  assertEquals(types(await eventsOf(stream)), ["drop"]);
});

Deno.test("counters that begin again at 0 tell of no drops", async () => {
  const world = new World();
  world.counters = { "rx.drop.short": 50 };
  using stream = world.listen();
  await eventsOf(stream);
  world.counters = { "rx.drop.short": 0 };
  await world.clock.advance(SECOND_MS);
  assertEquals(await eventsOf(stream), []);
});

Deno.test("peers that come, change and go are told one by one", async () => {
  const world = new World();
  using stream = world.listen();
  await eventsOf(stream);
  const one = peer("10.1.2.0/24", "192.0.2.2");
  world.state.tellPeers(added(one));
  world.state.tellPeers({
    added: [],
    changed: [{ ...one, stale: true }],
    removed: [],
  });
  world.state.tellPeers({ added: [], changed: [], removed: [one] });
  const told = await eventsOf(stream);
  assertEquals(
    told.map((event) =>
      event.type === "peer"
        ? [event.change, event.subnet, event.publicIp, event.stale]
        : []
    ),
    [
      ["added", "10.1.2.0/24", "192.0.2.2", false],
      ["changed", "10.1.2.0/24", "192.0.2.2", true],
      ["removed", "10.1.2.0/24", "192.0.2.2", false],
    ],
  );
});

Deno.test("warnings are told when they come, change and go, and not those that were there", async () => {
  const world = new World();
  world.state.raise("etcd.unavailable", "old");
  using stream = world.listen();
  await eventsOf(stream);
  world.state.raise("lease.not-held", "first");
  world.state.set({});
  world.state.raise("lease.not-held", "second");
  world.state.clear("lease.not-held");
  assertEquals(
    (await eventsOf(stream)).map((event) =>
      event.type === "warning" ? [event.change, event.code, event.text] : []
    ),
    [
      ["raised", "lease.not-held", "first"],
      ["changed", "lease.not-held", "second"],
      ["cleared", "lease.not-held", "second"],
    ],
  );
});

Deno.test("log events are told with their fields, but for those that are no news", async () => {
  const world = new World();
  using stream = world.listen();
  await eventsOf(stream);
  world.log("lease.renewed");
  world.log("underlay.lost", "error");
  world.log("registry.call", "debug");
  world.log("peers.changed");
  const told = await eventsOf(stream);
  assertEquals(told.map((event) => "event" in event && event.event), [
    "lease.renewed",
    "underlay.lost",
  ]);
  const [first] = told as unknown as Record<string, unknown>[];
  assertEquals(first!.subnet, "10.1.2.0/24");
  assertEquals(first!.level, "info");
});

Deno.test("another backend is told, and the former one records no more", async () => {
  const world = new World();
  using stream = world.listen();
  await eventsOf(stream);
  world.sources = [
    { backendType: "vxlan", reader: undefined, kernelAlone: true },
  ];
  await world.clock.advance(READ_MS);
  const [source] = await eventsOf(stream) as EventOf<"source">[];
  assertEquals([source!.backend, source!.drops], ["vxlan", false]);
  assert(source!.why?.includes("vxlan"));
  assertEquals(world.drops.isRecording, false);
});

Deno.test("without a backend, and where the kernel lacks ring buffers, the stream says so", async () => {
  for (
    const [sources, part] of [
      [[], "no backend"],
      [
        [{ backendType: "udp", reader: undefined, kernelAlone: false }],
        "ring buffers",
      ],
    ] as const
  ) {
    const world = new World();
    world.sources = [...sources];
    using stream = world.listen();
    const source = (await eventsOf(stream))[1]!;
    assert(source.type === "source" && source.why?.includes(part));
  }
});

Deno.test("a data path that cannot be read ends nothing, and is logged once", async () => {
  const world = new World();
  using stream = world.listen();
  world.drops.failure = new Error("no ring");
  await world.clock.advance(SECOND_MS);
  world.drops.failure = undefined;
  world.drops.pending = [PACKET];
  await world.clock.advance(READ_MS);
  assertEquals(types(await eventsOf(stream)), ["start", "source", "drop"]);
});

Deno.test("counters that cannot be read end nothing", async () => {
  const world = new World();
  using stream = world.listen();
  world.failure = new Error("no counters");
  await world.clock.advance(SECOND_MS);
  world.failure = undefined;
  world.drops.pending = [PACKET];
  await world.clock.advance(READ_MS);
  assertEquals(types(await eventsOf(stream)), ["start", "source", "drop"]);
});

Deno.test("a listener that does not read does not keep others from reading, and loses events", async () => {
  const world = new World();
  using silent = world.listen();
  using reader = world.listen();
  let told = 0;
  for (let round = 0; round < 60; round++) {
    world.drops.pending = Array(100).fill(PACKET);
    await world.clock.advance(READ_MS);
    told += (await eventsOf(reader)).filter(({ type }) => type === "drop")
      .length;
  }
  assertEquals(told, 6_000);
  const late = await eventsOf(silent);
  const lost = late.find((event) => event.type === "lost")!;
  assert(lost.count > 0);
  const drops = late.filter(({ type }) => type === "drop");
  assertEquals(drops.length + lost.count, 6_000);
});

Deno.test("the agent's end ends all streams", async () => {
  const world = new World();
  using stream = world.listen();
  await eventsOf(stream);
  world.monitor.stop();
  assertEquals(await asked.get(stream), undefined);
  assertEquals(world.drops.isRecording, false);
  using late = world.listen();
  await eventsOf(late);
  assertEquals(await late.next(), undefined);
});
