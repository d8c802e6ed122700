import { assertEquals } from "@std/assert";
import {
  type CpuTraffic,
  FlowSpreading,
} from "../../../../../backend/udp/ebpf/flow_spreading.ts";
import { FakeClock } from "../../../../fakes/fake_clock.ts";
import { FakePacketSteering } from "../../../../fakes/fake_packet_steering.ts";

const ALL = 0b1111n;
const DEVICE = { name: "flannel0", index: 5 };
/** Bytes that a gigabit a second has in half a second. */
const GIGABIT_HALF = 62_500_000;

/** A host with four processors, and what each of them has taken. */
class World {
  readonly clock = new FakeClock();
  readonly steering: FakePacketSteering;
  traffic: CpuTraffic[] = Array(4).fill({ bytes: 0, superPackets: 0 });
  device = DEVICE;
  readonly spreading: FlowSpreading;

  constructor(cpus = 0n, allCpus = ALL) {
    this.steering = new FakePacketSteering(allCpus);
    this.steering.plugIn(DEVICE, cpus);
    this.spreading = new FlowSpreading({
      steering: this.steering,
      clock: this.clock,
      received: () => this.traffic,
      device: () => this.device,
    });
    this.spreading.look();
  }

  /** The first processor takes that in half a second, and there is a look. */
  async take(bytes: number, superPackets = 0): Promise<boolean> {
    this.traffic = this.traffic.map((before, cpu) =>
      cpu !== 0 ? before : {
        bytes: before.bytes + bytes,
        superPackets: before.superPackets + superPackets,
      }
    );
    await this.clock.advance(500);
    this.spreading.look();
    return this.spreading.spreads;
  }

  get cpus(): bigint {
    return this.steering.cpus(this.device);
  }
}

Deno.test("flows are shared while one processor takes a gigabit a second", async () => {
  const world = new World();
  assertEquals(await world.take(GIGABIT_HALF * 0.9), false);
  assertEquals(world.spreading.describe(), "where they arrive");
  assertEquals(await world.take(GIGABIT_HALF), true);
  assertEquals(world.spreading.describe(), "all processors");
  assertEquals(world.cpus, ALL);
  // Between much and little nothing changes.
  assertEquals(await world.take(GIGABIT_HALF / 3), true);
  // A pause is no end.
  assertEquals(await world.take(0), true);
  assertEquals(await world.take(GIGABIT_HALF / 3), true);
  assertEquals(await world.take(0), true);
  assertEquals(await world.take(0), false);
  assertEquals(world.cpus, 0n);
  assertEquals(world.steering.settings, [ALL, 0n]);
});

Deno.test("what comes as super-packets stays on its processor", async () => {
  const world = new World();
  assertEquals(await world.take(64_000 * 20_000, 20_000), false);
  assertEquals(await world.take(GIGABIT_HALF * 1.1, 10), true);
});

Deno.test("what a network card has shared already stays so", async () => {
  const world = new World();
  for (let look = 0; look < 4; look++) {
    world.traffic = world.traffic.map((before) => ({
      ...before,
      bytes: before.bytes + GIGABIT_HALF * 0.8,
    }));
    assertEquals(await world.take(0), false);
  }
});

Deno.test("many small packets stay on their processor", async () => {
  const world = new World();
  assertEquals(await world.take(200_000 * 92), false);
});

Deno.test("an agent goes on where the last one has stopped", async () => {
  const world = new World(ALL);
  assertEquals(world.spreading.spreads, true);
  assertEquals(await world.take(GIGABIT_HALF), true);
  assertEquals(world.steering.settings, []);
  await world.take(0);
  assertEquals(await world.take(0), false);
  assertEquals(world.cpus, 0n);
});

Deno.test("another program's packet steering is left alone", async () => {
  const world = new World(0b10n);
  assertEquals(await world.take(GIGABIT_HALF), false);
  assertEquals(world.cpus, 0b10n);
  assertEquals(world.spreading.describe(), "as rps_cpus has it");
});

Deno.test("a machine with one processor has nothing to share with", async () => {
  for (const allCpus of [1n, 0b100n]) {
    const world = new World(0n, allCpus);
    assertEquals(await world.take(GIGABIT_HALF), false);
    assertEquals(world.steering.settings, []);
  }
});

Deno.test("steering is set again on a device that was created again", async () => {
  const world = new World();
  assertEquals(await world.take(GIGABIT_HALF), true);
  world.device = { ...DEVICE, index: 6 };
  world.steering.plugIn(world.device);
  assertEquals(await world.take(GIGABIT_HALF), true);
  assertEquals(world.cpus, ALL);
});

Deno.test("where it cannot be set, flows stay, and it is not tried again", async () => {
  const world = new World();
  world.device = { ...DEVICE, index: 7 };
  assertEquals(await world.take(GIGABIT_HALF), false);
  world.steering.plugIn(world.device);
  assertEquals(await world.take(GIGABIT_HALF), false);
  assertEquals(world.steering.settings, []);
});

Deno.test("counters that start again at 0 are not traffic", async () => {
  const world = new World();
  await world.take(GIGABIT_HALF);
  world.traffic = [];
  assertEquals(await world.take(0), true);
  assertEquals(await world.take(0), false);
});

Deno.test("it looks every half second, twice as often while it spreads, and stops", async () => {
  const world = new World();
  const ending = new AbortController();
  const running = world.spreading.run(ending.signal);
  world.traffic = [{ bytes: GIGABIT_HALF, superPackets: 0 }];
  await world.clock.advance(499);
  assertEquals(world.spreading.spreads, false);
  await world.clock.advance(1);
  assertEquals(world.spreading.spreads, true);
  await world.clock.advance(500);
  assertEquals(world.spreading.spreads, false);
  ending.abort();
  await running;
});
