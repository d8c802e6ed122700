import { assert, assertEquals } from "@std/assert";
import {
  PeerProbe,
  type Probe,
  type ProbeConditions,
  SILENT_TURNS,
  SMALL_BYTES,
  STEADY_MS,
} from "../../../../agent/probe/peer_probe.ts";

const MTU = 1_472;

/** A peer, and what of its probes passes. */
class World {
  readonly probe = new PeerProbe(0);
  nowMs = 0;
  passes: (probe: Probe) => boolean = () => true;
  conditions: ProbeConditions = { mtuBytes: MTU, icmp: true };
  readonly sent: Probe[] = [];

  /** A turn, a second after the last or when it is due. */
  turn(): readonly Probe[] {
    this.nowMs = Math.max(this.nowMs, this.probe.dueMs);
    const probes = this.probe.begin(this.conditions);
    this.sent.push(...probes);
    for (const each of probes) {
      if (this.passes(each)) this.probe.answer(each, 4, this.nowMs + 4);
    }
    this.nowMs += 1_000;
    this.probe.end(this.conditions, this.nowMs);
    return probes;
  }

  turns(count: number): void {
    for (let turn = 0; turn < count; turn++) this.turn();
  }
}

Deno.test("one probe of the overlay's MTU says that a peer is reachable, how fast and how wide", () => {
  const world = new World();
  assertEquals(world.probe.state, "unknown");
  assertEquals(world.turn(), [{ way: "udp", packetBytes: MTU }]);
  const { probe } = world;
  assertEquals(
    [probe.state, probe.way, probe.rttMs, probe.mtuBytes, probe.lossRatio],
    ["reachable", "udp", 4, MTU, 0],
  );
  assertEquals([probe.lastAnswerMs, probe.purpose], [4, "confirm"]);
  assertEquals(probe.dueMs, 1_000 + STEADY_MS);
});

Deno.test("a peer is unreachable only when both kinds of probe have found no answer", () => {
  const world = new World();
  world.turn();
  world.passes = () => false;
  assertEquals(world.turn(), [{ way: "udp", packetBytes: MTU }]);
  for (let turn = 1; turn < SILENT_TURNS; turn++) {
    assertEquals(world.probe.state, "reachable");
    assertEquals(world.probe.purpose, "find out");
    // At once: no pause.
    assertEquals(world.probe.dueMs, world.nowMs);
    assertEquals(world.turn(), [
      { way: "udp", packetBytes: SMALL_BYTES },
      { way: "icmp", packetBytes: SMALL_BYTES },
    ]);
  }
  assertEquals(world.probe.state, "unreachable");
  assertEquals(world.probe.stateSinceMs, world.nowMs);
});

Deno.test("a silent peer is unknown where no second kind of probe can be sent", () => {
  const world = new World();
  world.conditions = { mtuBytes: MTU, icmp: false };
  world.turn();
  world.passes = () => false;
  world.turns(SILENT_TURNS + 2);
  assertEquals(world.probe.state, "unknown");
  assert(world.sent.every(({ way }) => way === "udp"));
});

Deno.test("one lost probe costs nothing but its share in the loss", () => {
  const world = new World();
  world.turns(2);
  world.passes = () => false;
  world.turn();
  world.passes = () => true;
  world.turn();
  assertEquals(world.probe.lossRatio, 0.25);
  assertEquals([world.probe.state, world.probe.purpose], [
    "reachable",
    "confirm",
  ]);
  world.turns(40);
  assertEquals(world.probe.lossRatio, 0);
  assertEquals(world.probe.mtuBytes, MTU);
});

Deno.test("a peer that heals is reachable with its first answer", () => {
  const world = new World();
  world.passes = () => false;
  world.turns(SILENT_TURNS + 3);
  assertEquals([world.probe.state, world.probe.lossRatio], ["unreachable", 1]);
  world.passes = () => true;
  world.turn();
  assertEquals([world.probe.state, world.probe.way], ["reachable", "udp"]);
});

Deno.test("a host that answers ICMP alone is reachable by it, measured by it, and asked by UDP now and then", () => {
  const world = new World();
  world.passes = ({ way }) => way === "icmp";
  world.turns(4);
  assertEquals([world.probe.state, world.probe.way], ["reachable", "icmp"]);
  assertEquals([world.probe.mtuBytes, world.probe.purpose], [MTU, "confirm"]);
  world.turns(8);
  assertEquals(world.probe.state, "reachable");
  // An agent is started there.
  world.passes = () => true;
  world.turns(4);
  assertEquals(world.probe.way, "udp");
});

for (const pathBytes of [1_471, 1_400, 1_280, 576, 100]) {
  Deno.test(`a path of ${pathBytes} bytes is found exactly, and its widening later`, () => {
    const world = new World();
    world.turn();
    world.passes = ({ packetBytes }) => packetBytes <= pathBytes;
    world.turns(20);
    assertEquals(world.probe.mtuBytes, pathBytes);
    assert(world.sent.length < 60);
    assertEquals([world.probe.state, world.probe.purpose], [
      "reachable",
      "confirm",
    ]);
    const { lossRatio } = world.probe;
    world.turns(60);
    // Attempts that are too large are not losses.
    assert(world.probe.lossRatio! <= lossRatio!);
    assertEquals(world.probe.mtuBytes, pathBytes);
    world.passes = () => true;
    world.turns(40);
    assertEquals(world.probe.mtuBytes, MTU);
  });
}

Deno.test("a peer behind a narrow path is found to be silent as soon as any other", () => {
  for (let turns = 20; turns < 34; turns++) {
    const world = new World();
    world.turn();
    world.passes = ({ packetBytes }) => packetBytes <= 1_400;
    world.turns(turns);
    assertEquals(world.probe.mtuBytes, 1_400);
    world.passes = () => false;
    world.turns(SILENT_TURNS);
    assertEquals(world.probe.state, "unreachable", `after ${turns} turns`);
  }
});

Deno.test("a peer that falls silent during the search for its MTU has no MTU of a few bytes", () => {
  const world = new World();
  world.turn();
  world.passes = ({ packetBytes }) => packetBytes <= 1_000;
  world.turns(5);
  assertEquals(world.probe.purpose, "find out");
  world.passes = () => false;
  world.turns(20);
  assertEquals(world.probe.purpose, "look again");
  assertEquals(world.probe.state, "unreachable");
  assert((world.probe.mtuBytes ?? MTU) > SMALL_BYTES);
});

Deno.test("another MTU of the overlay is measured again", () => {
  const world = new World();
  world.turn();
  world.conditions = { mtuBytes: 1_372, icmp: true };
  assertEquals(world.turn(), [{ way: "udp", packetBytes: 1_372 }]);
  assertEquals(world.probe.mtuBytes, 1_372);
});

Deno.test("large packets that were lost by chance are no narrow path: not one byte less", () => {
  const world = new World();
  world.turn();
  // As when an agent ends, twice.
  world.passes = ({ packetBytes }) => packetBytes === SMALL_BYTES;
  world.turns(4);
  assertEquals(world.probe.purpose, "find out");
  world.passes = () => true;
  for (let turn = 0; turn < 12; turn++) {
    world.turn();
    assertEquals(world.probe.mtuBytes, MTU, `after ${turn} turns`);
  }
  assertEquals(world.probe.purpose, "confirm");
});
