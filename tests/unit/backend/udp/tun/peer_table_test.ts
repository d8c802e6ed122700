import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import * as layout from "../../../../../backend/udp/tun/layout.ts";
import {
  planTable,
  writePeerTable,
} from "../../../../../backend/udp/tun/peer_table.ts";
import { takePeerTable } from "../../../../../backend/udp/tun/peer_table_switch.ts";
import { type Cidr, cidrOf, lastAddress } from "../../../../../net/cidr.ts";
import { type Ipv4, toIpv4 } from "../../../../../net/ipv4.ts";
import type { Peer } from "../../../../../net/peer.ts";
import {
  added,
  address,
  KernelWorld,
  network,
  peer,
} from "../../../../support/kernel_world.ts";
import { holderOf } from "../../../../support/slow_packets.ts";

const at = (subnet: Cidr, publicIp: number): Peer => ({
  subnet,
  publicIp: toIpv4(publicIp),
  backendType: "udp",
  stale: false,
});

/** Looks up the edges of every subnet and some addresses of all kinds. */
function compare(world: KernelWorld, peers: readonly Peer[], more: number[]) {
  const edges = peers.flatMap(({ subnet }) => [
    subnet.address - 1,
    subnet.address,
    lastAddress(subnet),
    lastAddress(subnet) + 1,
  ]);
  for (const edge of [...edges, ...more, 0, 0xffff_ffff]) {
    const wanted = toIpv4(edge >>> 0);
    assertEquals(
      world.kernel.peerOf(wanted) >>> 0,
      holderOf(wanted, peers) ?? 0,
      `address ${wanted.toString(16)}`,
    );
  }
  for (const { publicIp } of peers) {
    assert(world.kernel.isPeerAddress(publicIp));
    assertEquals(
      Boolean(world.kernel.isPeerAddress(publicIp + 1)),
      peers.some((other) => other.publicIp === publicIp + 1),
    );
  }
}

function kindOf(world: KernelWorld): number {
  const { words } = world.memory;
  const table = words[layout.CONTROL_TABLE_ACTIVE >> 2]!;
  return words[(table + layout.TABLE_KIND) >> 2]!;
}

/** Ranges are sorted, apart, never empty, and as few as they may be. */
function checkRanges(world: KernelWorld, peers: number): void {
  const { words } = world.memory;
  const table = words[layout.CONTROL_TABLE_ACTIVE >> 2]!;
  const count = words[(table + layout.TABLE_COUNT) >> 2]!;
  const entries = words[(table + layout.TABLE_ENTRIES) >> 2]! >> 2;
  assert(count <= 2 * peers + 1);
  let before = -1;
  for (let index = 0; index < count; index++) {
    const [first, last] = words.subarray(entries + index * 3);
    assert(first! > before && last! >= first!);
    before = last!;
  }
}

/** Distinct subnets of a /12, some inside others. */
const peersIn = (longest: number) =>
  fc.uniqueArray(
    fc.tuple(
      fc.nat(0xfffff),
      fc.integer({ min: 13, max: longest }),
      fc.nat(0xffff),
    ).map(([host, length, publicIp]) =>
      at(cidrOf(toIpv4(0x0a100000 + host), length), 0xc0a80000 + publicIp)
    ),
    {
      selector: ({ subnet }) => `${subnet.address}/${subnet.prefixLength}`,
      maxLength: 40,
    },
  );

Deno.test("a flat table answers as looking at every peer does", () => {
  fc.assert(
    fc.property(
      peersIn(30),
      fc.array(fc.integer({ min: 0x0a100000, max: 0x0a1fffff }), {
        maxLength: 20,
      }),
      (peers, more) => {
        const world = new KernelWorld(
          { network: network("10.16.0.0/12") },
          peers,
        );
        assertEquals(kindOf(world), layout.TABLE_KIND_FLAT);
        compare(world, peers, more);
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("a table of ranges answers as looking at every peer does", () => {
  fc.assert(
    fc.property(
      peersIn(32),
      fc.array(fc.integer({ min: 0x0a100000, max: 0x0a1fffff }), {
        maxLength: 20,
      }),
      (peers, more) => {
        // A /32 in a /8 would need 2^24 entries.
        const all = [
          ...peers.filter(({ subnet }) => subnet.address !== 0x0a010203),
          peer("10.1.2.3/32", "192.0.2.9"),
        ];
        const world = new KernelWorld({ network: network("10.0.0.0/8") }, all);
        assertEquals(kindOf(world), layout.TABLE_KIND_RANGES);
        compare(world, all, more);
        checkRanges(world, all.length);
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("subnets of another network have no place in a flat table and do no harm", () => {
  const peers = [
    peer("10.1.2.0/24", "192.0.2.2"),
    peer("10.0.2.0/24", "192.0.2.3"),
    peer("10.2.2.0/24", "192.0.2.4"),
    peer("192.168.0.0/24", "192.0.2.5"),
  ];
  const world = new KernelWorld({}, peers);
  assertEquals(kindOf(world), layout.TABLE_KIND_FLAT);
  const holders = peers.map(({ subnet }) =>
    world.kernel.peerOf(subnet.address + 1) >>> 0
  );
  assertEquals(holders, [address("192.0.2.2"), 0, 0, 0]);
});

Deno.test("a subnet wider than the network makes a table of ranges", () => {
  const peers = [
    peer("10.0.0.0/8", "192.0.2.2"),
    peer("10.1.2.0/24", "192.0.2.3"),
  ];
  const world = new KernelWorld({}, peers);
  assertEquals(kindOf(world), layout.TABLE_KIND_RANGES);
  compare(world, peers, [0x0a010200, 0x0affffff]);
});

Deno.test("without peers no peer is found", () => {
  const world = new KernelWorld({}, []);
  assertEquals(world.kernel.peerOf(address("10.1.2.3")), 0);
  assertEquals(
    Boolean(world.kernel.isPeerAddress(address("192.0.2.2"))),
    false,
  );
});

/** Peers with /24s, from 10.0.0.0 on. */
const manyPeers = (count: number, length = 24): Peer[] =>
  Array.from({ length: count }, (_, index) =>
    at(
      cidrOf(toIpv4(0x0a000000 + index * 2 ** (32 - length)), length),
      0xc0a80000 + index,
    ));

Deno.test("ten thousand peers are found, and the memory grows for them", () => {
  const world = new KernelWorld({ network: network("10.0.0.0/8") });
  const before = world.state.memory.buffer.byteLength;
  const peers = manyPeers(10_000);
  world.state.changePeers(added(...peers));
  takePeerTable(world.memory, world.kernel, layout.CONTROL_TABLE_ACTIVE);
  assert(world.state.memory.buffer.byteLength > before);
  for (const index of [0, 1, 4_999, 9_999]) {
    const { subnet, publicIp } = peers[index]!;
    assertEquals(world.kernel.peerOf(subnet.address + 9) >>> 0, publicIp);
  }
  assertEquals(world.kernel.peerOf(0x0a000000 + 10_000 * 256), 0);
});

Deno.test("a table of ten thousand ranges finds each of them", () => {
  const peers = manyPeers(10_000, 29);
  const world = new KernelWorld({ network: network("10.0.0.0/8") }, []);
  world.state.changePeers(added(...peers));
  takePeerTable(world.memory, world.kernel, layout.CONTROL_TABLE_ACTIVE);
  for (const index of [0, 5_000, 9_999]) {
    const { subnet, publicIp } = peers[index]!;
    assertEquals(world.kernel.peerOf(subnet.address + 3) >>> 0, publicIp);
  }
});

/** As it would lie at `offset`, with room for these peers alone. */
const planFor = (net: Cidr, peers: readonly Peer[], offset = 0) =>
  planTable(net, {
    lengths: peers.map(({ subnet }) => subnet.prefixLength),
    capacity: peers.length,
  }, offset);

Deno.test("a table says how many bytes it needs, in whole cache lines", () => {
  fc.assert(fc.property(peersIn(32), (peers) => {
    const { bytes } = planFor(network("10.16.0.0/12"), peers);
    assertEquals(bytes % 64, 0);
    assert(bytes >= layout.TABLE_HEADER_BYTES);
  }));
});

Deno.test("a table never writes outside the bytes that it says it needs", () => {
  fc.assert(
    fc.property(peersIn(30), fc.boolean(), (peers, flat) => {
      // In a /8 they would need 2^22 entries.
      const net = network(flat ? "10.16.0.0/12" : "10.0.0.0/8");
      const { bytes } = planFor(net, peers);
      const guard = 64;
      const words = new Uint32Array((bytes + 2 * guard) / 4).fill(0xa5a5a5a5);
      writePeerTable(words, planFor(net, peers, guard), net, peers);
      const outside = [
        ...words.subarray(0, guard / 4),
        ...words.subarray((guard + bytes) / 4),
      ];
      assert(outside.every((word) => word === 0xa5a5a5a5));
    }),
    { numRuns: 30 },
  );
});

const publicIps = (world: KernelWorld): Ipv4 =>
  toIpv4(world.kernel.peerOf(address("10.1.2.1")) >>> 0);

Deno.test("peers that change are seen when the worker takes the table, not before", () => {
  const world = new KernelWorld();
  world.state.changePeers(added(peer("10.1.2.0/24", "192.0.2.77")));
  assertEquals(publicIps(world), address("192.0.2.2"));
  takePeerTable(world.memory, world.kernel, layout.CONTROL_TABLE_ACTIVE);
  assertEquals(publicIps(world), address("192.0.2.77"));
});
