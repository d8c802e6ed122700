import { assert, assertEquals } from "@std/assert";
import {
  PeerProbes,
  type ProbedPeer,
  PROBES_PER_TICK,
  ROTATION_SHARE,
} from "../../../../agent/probe/peer_probes.ts";
import { cidrOf, parseCidr } from "../../../../net/cidr.ts";
import { formatIpv4, parseIpv4, toIpv4 } from "../../../../net/ipv4.ts";
import type { Peer } from "../../../../net/peer.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeRandom } from "../../../fakes/fake_random.ts";

const CONDITIONS = { mtuBytes: 1_472, icmp: true };

function peer(subnet: string, others: Partial<Peer> = {}): Peer {
  return {
    subnet: parseCidr(subnet)!,
    publicIp: parseIpv4("192.0.2.12")!,
    backendType: "udp",
    stale: false,
    ...others,
  };
}

function manyPeers(count: number): Peer[] {
  return Array.from({ length: count }, (_, index) => ({
    ...peer("10.0.0.0/24"),
    subnet: cidrOf(toIpv4(0x0a00_0000 + index * 256), 24),
  }));
}

/** Peers of which some answer, second after second. */
class World {
  readonly clock = new FakeClock();
  readonly peers = new PeerProbes(this.clock, new FakeRandom());
  answers: (probed: ProbedPeer) => boolean = () => true;
  /** Packets of each second. */
  readonly packets: number[] = [];
  readonly lastTurnMs = new Map<string, number>();
  /** The longest time between two turns of a peer. */
  longestMs = 0;
  #turns: ProbedPeer[] = [];

  async second(): Promise<void> {
    await this.clock.advance(1_000);
    const nowMs = this.clock.monotonic();
    for (const probed of this.#turns) {
      probed.probe.end(CONDITIONS, nowMs);
      this.peers.settle(probed);
    }
    this.#turns = [];
    let packets = 0;
    this.peers.takeTurns(nowMs, CONDITIONS, (probed) => {
      const before = this.lastTurnMs.get(probed.key);
      this.longestMs = Math.max(this.longestMs, nowMs - (before ?? nowMs));
      this.lastTurnMs.set(probed.key, nowMs);
      const probes = probed.probe.begin(CONDITIONS);
      for (const each of this.answers(probed) ? probes : []) {
        probed.probe.answer(each, 1, nowMs);
      }
      this.#turns.push(probed);
      packets += probes.length;
    });
    this.packets.push(packets);
  }

  async seconds(count: number): Promise<void> {
    for (let second = 0; second < count; second++) await this.second();
  }
}

Deno.test("10,000 peers take turns: all within 2,000 seconds, five packets a second", async () => {
  const world = new World();
  world.peers.apply({ added: manyPeers(10_000), changed: [], removed: [] });
  await world.seconds(4_100);
  assertEquals(world.lastTurnMs.size, 10_000);
  assert(world.packets.every((packets) => packets <= PROBES_PER_TICK));
  assertEquals(world.longestMs, 2_000_000);
});

Deno.test("a few peers are probed every ten seconds", async () => {
  const world = new World();
  world.peers.apply({ added: manyPeers(3), changed: [], removed: [] });
  await world.seconds(100);
  assertEquals(world.longestMs, 11_000);
});

Deno.test("peers that are unreachable come first, and leave two packets of five to the others", async () => {
  const world = new World();
  world.peers.apply({ added: manyPeers(1_000), changed: [], removed: [] });
  const isDown = ({ address }: ProbedPeer) => address < 0x0a01_0000;
  world.answers = (probed) => !isDown(probed);
  await world.seconds(1_500);
  const last = world.packets.slice(-60);
  assert(last.every((packets) => packets <= PROBES_PER_TICK));
  const healthy = [...world.peers.values()].filter((each) => !isDown(each));
  const nowMs = world.clock.monotonic();
  for (const { key } of healthy) {
    const ageMs = nowMs - world.lastTurnMs.get(key)!;
    assert(ageMs <= healthy.length / ROTATION_SHARE * 1_000 + 1_000, key);
  }
});

Deno.test("peers with traffic are probed every ten seconds beside a thousand others, and all others in time", async () => {
  const world = new World();
  world.peers.apply({ added: manyPeers(1_000), changed: [], removed: [] });
  const busy = new Set(["10.0.7.0/24", "10.0.8.0/24", "10.1.9.0/24"]);
  world.peers.setTraffic(busy);
  await world.seconds(300);
  const nowMs = world.clock.monotonic();
  for (const { key } of world.peers.values()) {
    const ageMs = nowMs - world.lastTurnMs.get(key)!;
    assert(ageMs <= (busy.has(key) ? 11_000 : 220_000), `${key}: ${ageMs}`);
  }
  world.peers.setTraffic(new Set());
  await world.seconds(30);
  const before = world.lastTurnMs.get("10.0.7.0/24")!;
  assert(world.clock.monotonic() - before > 20_000);
});

Deno.test("a peer that falls silent is looked at before a thousand that are known to be unreachable", async () => {
  const world = new World();
  world.peers.apply({ added: manyPeers(300), changed: [], removed: [] });
  const last = world.peers.get("10.0.200.0/24")!;
  world.answers = (probed) => probed === last;
  await world.seconds(1_200);
  assertEquals(last.probe.state, "reachable");
  const turnBefore = world.lastTurnMs.get(last.key)!;
  world.answers = () => false;
  while (world.lastTurnMs.get(last.key) === turnBefore) await world.second();
  await world.seconds(3);
  assertEquals(last.probe.state, "unreachable");
});

Deno.test("one silent peer of a thousand is known to be so four seconds after its turn", async () => {
  const world = new World();
  world.peers.apply({ added: manyPeers(1_000), changed: [], removed: [] });
  await world.seconds(200);
  const silent = world.peers.get("10.0.5.0/24")!;
  world.answers = (probed) => probed !== silent;
  const turnBefore = world.lastTurnMs.get(silent.key)!;
  while (world.lastTurnMs.get(silent.key) === turnBefore) await world.second();
  await world.seconds(3);
  assertEquals(silent.probe.state, "unreachable");
});

Deno.test("a peer is found by the address of its host in the overlay, as its backend has it", () => {
  const world = new World();
  const [tunnel, gateway] = [
    peer("10.1.6.0/24"),
    peer("10.1.7.0/24", { backendType: "host-gw" }),
  ];
  const found = (address: string) => world.peers.at(parseIpv4(address)!)?.peer;
  world.peers.apply({ added: [tunnel, gateway], changed: [], removed: [] });
  assertEquals(found("10.1.6.0"), tunnel);
  assertEquals(found("10.1.6.1"), undefined);
  assertEquals(found("10.1.7.1"), gateway);
  assertEquals(found("10.1.7.0"), undefined);
  // Leases of alloc look like those of udp.
  world.peers.setOwnType("alloc");
  assertEquals(found("10.1.6.1"), tunnel);
  assertEquals(found("10.1.6.0"), undefined);
});

Deno.test("a subnet that moves to another host begins again, and one that only becomes stale does not", async () => {
  const world = new World();
  const moved = peer("10.1.6.0/24");
  world.peers.apply({ added: [moved], changed: [], removed: [] });
  await world.seconds(2);
  const state = () => world.peers.get("10.1.6.0/24")!.probe.state;
  world.peers.apply({
    added: [],
    changed: [{ ...moved, stale: true }],
    removed: [],
  });
  assertEquals(state(), "reachable");
  const publicIp = parseIpv4("192.0.2.99")!;
  world.peers.apply({
    added: [],
    changed: [{ ...moved, publicIp }],
    removed: [],
  });
  assertEquals(state(), "unknown");
  world.peers.apply({ added: [], changed: [], removed: [moved] });
  assertEquals([world.peers.size, [...world.peers.values()]], [0, []]);
  await world.seconds(2);
});

Deno.test("hosts that start together do not ask the same host first", () => {
  const firsts = new Set<string>();
  for (let seed = 1; seed <= 20; seed++) {
    const peers = new PeerProbes(new FakeClock(), new FakeRandom(seed));
    peers.apply({ added: manyPeers(100), changed: [], removed: [] });
    const order: string[] = [];
    peers.takeTurns(0, CONDITIONS, ({ address }) => {
      order.push(formatIpv4(address));
    });
    firsts.add(order[0]!);
  }
  assert(firsts.size > 10);
});
