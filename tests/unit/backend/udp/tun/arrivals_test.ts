import { assertEquals } from "@std/assert";
import { Arrivals } from "../../../../../backend/udp/tun/arrivals.ts";
import { FakeClock } from "../../../../fakes/fake_clock.ts";

const PEER = 0xc000_0202;
const STRANGER = 0xc000_0209;
const [PRIVATE, OTHER, PUBLIC, BRIDGE] = [2, 3, 4, 5] as const;

class World {
  readonly clock = new FakeClock();
  routes: readonly number[] | Error = [PRIVATE];
  questions = 0;
  readonly arrivals = new Arrivals({
    clock: this.clock,
    isPeerAddress: (address) => address === PEER,
    nextHops: () => {
      this.questions++;
      if (this.routes instanceof Error) throw this.routes;
      return this.routes;
    },
  });

  from(...devices: readonly number[]): boolean[] {
    return devices.map((device) => this.arrivals.mayComeBy(PEER, device));
  }
}

Deno.test("only the devices of the route to a peer speak for it", () => {
  const world = new World();
  assertEquals(world.from(PRIVATE, PUBLIC, BRIDGE), [true, false, false]);
  world.routes = [PRIVATE, OTHER];
  assertEquals(world.from(OTHER, PRIVATE), [true, true]);
});

Deno.test("an answer is kept for ten seconds", async () => {
  const world = new World();
  world.from(PRIVATE, PRIVATE, PRIVATE);
  assertEquals(world.questions, 1);
  world.routes = [PUBLIC];
  await world.clock.advance(10_000);
  assertEquals(world.from(PRIVATE), [false]);
});

Deno.test("after a fail-over the new device is heard at once", () => {
  const world = new World();
  world.from(PRIVATE);
  world.routes = [OTHER];
  assertEquals(world.from(OTHER, PRIVATE), [true, false]);
});

Deno.test("a peer without a route is heard from nowhere until there is one", async () => {
  const world = new World();
  world.routes = new Error("no route");
  assertEquals(world.from(PRIVATE), [false]);
  world.routes = [PRIVATE];
  await world.clock.advance(1_000);
  assertEquals(world.from(PRIVATE), [true]);
});

Deno.test("what others send costs a hundred questions a second at most", () => {
  const world = new World();
  for (let count = 0; count < 10_000; count++) world.from(BRIDGE);
  assertEquals(world.questions, 101);
});

Deno.test("nothing is asked about strangers, whom later checks drop, or of an unknown device", () => {
  const world = new World();
  assertEquals(world.arrivals.mayComeBy(STRANGER, BRIDGE), true);
  assertEquals(world.from(0), [true]);
  assertEquals(world.questions, 0);
});
