import { assertEquals } from "@std/assert";
import { PathMtuClaims } from "../../../../../backend/udp/ebpf/path_mtu_claims.ts";
import type { EchoAnswer } from "../../../../../linux/echo_request.ts";
import { FakeClock } from "../../../../fakes/fake_clock.ts";
import { address } from "../../../../support/kernel_world.ts";

const PEER = address("192.0.2.2");

class World {
  readonly clock = new FakeClock();
  readonly probes: number[] = [];
  readonly changes: number[] = [];
  answer: EchoAnswer | Error = "none";
  readonly claims = new PathMtuClaims({
    clock: this.clock,
    probe: (_, bytes) => {
      this.probes.push(bytes);
      return this.answer instanceof Error
        ? Promise.reject(this.answer)
        : Promise.resolve(this.answer);
    },
    onChange: (each) => this.changes.push(each),
  });
}

Deno.test("an MTU of 1280 bytes or more is taken as the router says it", () => {
  const { claims, probes } = new World();
  assertEquals(claims.believed(PEER, 1_280), 1_280);
  assertEquals(claims.believed(PEER, 1_400), 1_400);
  assertEquals(probes, []);
});

Deno.test("a smaller one is refuted by an echo of 1280 bytes, for ten minutes", async () => {
  const world = new World();
  world.answer = "arrived";
  assertEquals(world.claims.believed(PEER, 600), undefined);
  await world.clock.settle();
  assertEquals([world.probes, world.changes], [[1_280], [PEER]]);
  assertEquals(world.claims.believed(PEER, 600), undefined);
  assertEquals(Object.keys(world.claims.details()), [
    "path MTU to 192.0.2.2",
  ]);
  await world.clock.advance(600_000);
  assertEquals(world.claims.details(), {});
  assertEquals(world.claims.believed(PEER, 600), undefined);
  assertEquals(world.probes.length, 2);
});

Deno.test("a path that is narrow is used as the router says, and no narrower than 576 bytes", async () => {
  const world = new World();
  world.claims.believed(PEER, 600);
  await world.clock.settle();
  assertEquals(world.claims.believed(PEER, 600), 600);
  assertEquals(world.claims.believed(PEER, 68), 576);
  assertEquals(world.probes.length, 1);
});

Deno.test("where nothing can be asked a narrow path is no black hole", async () => {
  const world = new World();
  world.answer = new Error("no socket");
  world.claims.believed(PEER, 600);
  await world.clock.settle();
  assertEquals(world.claims.believed(PEER, 600), 600);
});

Deno.test("messages cause one look a second at each peer's route, and ten at all", async () => {
  const { claims, clock } = new World();
  const looks = (peers: number) =>
    Array.from(
      { length: 3_000 },
      (_, at) => claims.mayLook(address(`192.0.2.${2 + at % peers}`)),
    )
      .filter((may) => may).length;
  assertEquals(looks(1), 1);
  assertEquals(looks(200), 9);
  await clock.advance(1_000);
  assertEquals(looks(200), 10);
});

Deno.test("forged messages about thousands of peers start sixteen probes at once", async () => {
  const world = new World();
  const ask = () => {
    for (let peer = 0; peer < 3_000; peer++) {
      world.claims.believed(address(`10.${peer >> 8}.${peer & 255}.1`), 600);
    }
  };
  ask();
  assertEquals(world.probes.length, 16);
  await world.clock.settle();
  ask();
  assertEquals(world.probes.length, 32);
});
