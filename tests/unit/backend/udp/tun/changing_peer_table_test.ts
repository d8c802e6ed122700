import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import * as layout from "../../../../../backend/udp/tun/layout.ts";
import { takePeerTable } from "../../../../../backend/udp/tun/peer_table_switch.ts";
import { cidrOf, formatCidr, lastAddress } from "../../../../../net/cidr.ts";
import { toIpv4 } from "../../../../../net/ipv4.ts";
import {
  applyPeerDiff,
  type Peer,
  type PeerDiff,
} from "../../../../../net/peer.ts";
import {
  added,
  address,
  KernelWorld,
  network,
  peer,
} from "../../../../support/kernel_world.ts";
import { holderOf } from "../../../../support/slow_packets.ts";

const NETWORK = network("10.16.0.0/20");
const HOLDERS = ["192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.250"];

/** Few enough that they meet, inside of each other and of other networks too. */
const subnets = fc.tuple(
  fc.constantFrom(0x0a100000, 0x0a100000, 0x0a100000, 0x0a000000),
  fc.nat(0xfff),
  fc.constantFrom(20, 21, 24, 24, 24, 26, 28),
).map(([base, host, length]) => cidrOf(toIpv4(base + host), length));

/** Peers to put and subnets to take out, one diff after the other. */
const diffs = fc.array(
  fc.record({
    put: fc.uniqueArray(
      fc.tuple(subnets, fc.constantFrom(...HOLDERS)).map(([subnet, holder]) =>
        peer(formatCidr(subnet), holder)
      ),
      { selector: ({ subnet }) => formatCidr(subnet), maxLength: 6 },
    ),
    taken: fc.array(fc.nat(1_000), { maxLength: 4 }),
  }),
  { maxLength: 10 },
);

function take(world: KernelWorld): void {
  takePeerTable(world.memory, world.kernel, layout.CONTROL_TABLE_ACTIVE);
}

/** Every entry of the network, and who is a sender. */
function compare(world: KernelWorld, peers: readonly Peer[]): void {
  for (let at: number = NETWORK.address; at <= lastAddress(NETWORK); at += 16) {
    const wanted = toIpv4(at);
    assertEquals(
      world.kernel.peerOf(wanted) >>> 0,
      holderOf(
        wanted,
        peers.filter(({ subnet }) => subnet.address >= NETWORK.address),
      ) ?? 0,
      `address ${wanted.toString(16)}`,
    );
  }
  for (const holder of HOLDERS) {
    assertEquals(
      Boolean(world.kernel.isPeerAddress(address(holder))),
      peers.some(({ publicIp }) => publicIp === address(holder)),
      holder,
    );
  }
}

Deno.test("any sequence of diffs leaves a table that answers as looking at every peer does", () => {
  fc.assert(
    fc.property(diffs, (steps) => {
      const world = new KernelWorld({ network: NETWORK }, []);
      const peers = new Map<string, Peer>();
      for (const { put, taken } of steps) {
        const texts = [...peers.keys()];
        const removed = taken.flatMap((index) =>
          texts.length === 0 ? [] : peers.get(texts[index % texts.length]!)!
        );
        const isKnown = ({ subnet }: Peer) => peers.has(formatCidr(subnet));
        const diff: PeerDiff = {
          added: put.filter((one) => !isKnown(one)),
          changed: put.filter(isKnown),
          removed,
        };
        applyPeerDiff(peers, diff);
        world.state.changePeers(diff);
        take(world);
        compare(world, [...peers.values()]);
        assertEquals(world.state.peerCount, peers.size);
      }
    }),
    { numRuns: 150 },
  );
});

/** Peers with /24s, from 10.1.0.0 on. */
const manyPeers = (first: number, count: number): Peer[] =>
  Array.from({ length: count }, (_, index) => ({
    subnet: cidrOf(toIpv4(0x0a010000 + (first + index) * 256), 24),
    publicIp: toIpv4(0xc6120001 + first + index),
    backendType: "udp",
    stale: false,
  }));

Deno.test("a change is written next to the table in use, whose bytes do not change", () => {
  const world = new KernelWorld({ network: network("10.0.0.0/8") }, [
    ...manyPeers(0, 1_000),
  ]);
  const { words } = world.memory;
  const table = () => words[layout.CONTROL_TABLE_WANTED >> 2]! >> 2;
  const before = table();
  const bytes = () => words.slice(before, before + 65_536 + 4_000);
  const inUse = bytes();
  world.state.changePeers({
    added: manyPeers(1_000, 1),
    changed: [{ ...manyPeers(7, 1)[0]!, publicIp: address("192.0.2.9") }],
    removed: manyPeers(3, 1),
  });
  assert(table() !== before);
  assertEquals(bytes(), inUse);
  take(world);
  const holder = (index: number) =>
    world.kernel.peerOf(manyPeers(index, 1)[0]!.subnet.address + 1) >>> 0;
  assertEquals([holder(3), holder(7), holder(1_000), holder(999)], [
    0,
    address("192.0.2.9"),
    manyPeers(1_000, 1)[0]!.publicIp,
    manyPeers(999, 1)[0]!.publicIp,
  ]);
});

Deno.test("peers that come one by one find room, however many they are", () => {
  const world = new KernelWorld({ network: network("10.0.0.0/8") }, []);
  const peers = manyPeers(0, 300);
  for (const one of peers) world.state.changePeers(added(one));
  take(world);
  for (const { subnet, publicIp } of peers) {
    assertEquals(world.kernel.peerOf(subnet.address + 1) >>> 0, publicIp);
    assert(world.kernel.isPeerAddress(publicIp));
  }
});

Deno.test("all addresses may change at once in a full table", () => {
  const peers = manyPeers(0, 64);
  const world = new KernelWorld({ network: network("10.0.0.0/8") }, peers);
  const moved = peers.map((one) => ({
    ...one,
    publicIp: toIpv4(one.publicIp + 1_000),
  }));
  world.state.changePeers({ added: [], changed: moved, removed: [] });
  const words = new Uint32Array(world.state.memory.buffer);
  const table = words[layout.CONTROL_TABLE_WANTED >> 2]!;
  take(world);
  assertEquals(words[(table + layout.TABLE_ADDRESS_COUNT) >> 2], 64);
  for (const [index, { publicIp }] of moved.entries()) {
    assert(world.kernel.isPeerAddress(publicIp));
    assert(!world.kernel.isPeerAddress(peers[index]!.publicIp));
  }
});
