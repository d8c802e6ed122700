import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  decodePeer,
  MAPS,
  type Maps,
  PEER_SLOTS,
  peerKey,
} from "../../../../../backend/udp/ebpf/maps.ts";
import {
  type KernelPeer,
  KernelPeerTable,
} from "../../../../../backend/udp/ebpf/peer_table.ts";
import { ERRNO } from "../../../../../linux/errno.ts";
import { BpfError } from "../../../../../linux/bpf/errors.ts";
import { NetlinkError } from "../../../../../linux/netlink/errors.ts";
import { formatCidr } from "../../../../../net/cidr.ts";
import { type Ipv4, ipv4ToBytes } from "../../../../../net/ipv4.ts";
import { FakeBpf } from "../../../../fakes/fake_bpf.ts";
import { FakeEthtool } from "../../../../fakes/fake_ethtool.ts";
import {
  failOnce,
  newMaps,
  peersIn,
  WatchedRtnetlink,
} from "../../../../support/ebpf_world.ts";
import { address, network } from "../../../../support/kernel_world.ts";

const DEADLINE = 90_000_000_000_000n;
/** The same deadline for all. */
const at = (deadlineNs: bigint) => () => deadlineNs;

function peer(
  subnet: string,
  holder: string,
  rest: Partial<KernelPeer> = {},
): KernelPeer {
  return {
    subnet: network(subnet),
    address: address(holder),
    interfaceIndex: 2,
    flags: 0,
    mtuBytes: undefined,
    ...rest,
  };
}

const A = peer("10.1.2.0/24", "192.0.2.2");
const B = peer("10.1.3.0/24", "192.0.2.3");
const C = peer("10.1.4.0/24", "192.0.2.4");

/** `count` subnets of one /8, each with a holder of its own. */
function manyPeers(count: number): KernelPeer[] {
  return Array.from({ length: count }, (_, index) => ({
    ...A,
    subnet: { ...A.subnet, address: (0x0a00_0000 + index * 256) as Ipv4 },
    address: (0xac10_0000 + index) as Ipv4,
  }));
}

/** Maps and a device, with the table of an agent; others may follow it. */
class World {
  readonly rtnetlink: WatchedRtnetlink = new WatchedRtnetlink(
    new FakeEthtool(),
  );
  readonly device: number = this.rtnetlink.addLink({
    name: "flannel0",
    up: true,
  }).index;
  readonly maps: Maps = newMaps(new FakeBpf());
  table: KernelPeerTable = this.newAgent();

  /** One that finds what the one before has left. */
  newAgent(): KernelPeerTable {
    return this.table = new KernelPeerTable(
      this.maps,
      this.rtnetlink,
      this.device,
    );
  }

  entries() {
    return peersIn(this.maps.loden_peers);
  }

  /** `10.1.2.0/24 via 10.1.2.0 metric 3`. */
  routes(): string[] {
    return this.rtnetlink.routes()
      .filter(({ interfaceIndex }) => interfaceIndex === this.device)
      .map(({ destination, gateway, mtuBytes }) => {
        assertEquals(gateway, destination.address);
        return formatCidr(destination) +
          (mtuBytes === undefined ? "" : ` mtu ${mtuBytes}`);
      });
  }

  senders(): string[] {
    return this.maps.loden_senders.entries().map(({ key }) => key.join("."))
      .sort();
  }

  /** What the slot counts on both CPUs, the first of its numbers. */
  traffic(slot: number): number[] {
    const value = this.maps.loden_traffic.lookup(slotKey(slot))!;
    return [value[0]!, value[value.length / 2]!];
  }

  count(slot: number): void {
    const { length } = this.maps.loden_traffic.lookup(slotKey(slot))!;
    this.maps.loden_traffic.update(
      slotKey(slot),
      new Uint8Array(length).fill(7),
    );
  }

  /** Entries, routes and senders are those of these peers, each with its slot. */
  assertHolds(peers: readonly KernelPeer[]): void {
    const entries = this.entries();
    const bySubnet = peers.map((one) => [formatCidr(one.subnet), one] as const)
      .sort(([a], [b]) => a < b ? -1 : 1);
    assertEquals(
      Object.entries(entries).map(([subnet, entry]) => [subnet, entry.address]),
      bySubnet.map(([subnet, one]) => [subnet, one.address]),
    );
    assertEquals(
      this.routes().sort(),
      bySubnet.map(([subnet]) => subnet),
    );
    assertEquals(
      this.senders(),
      [...new Set(peers.map((one) => ipv4ToBytes(one.address).join(".")))]
        .sort(),
    );
    const slots = Object.values(entries).map(({ slot }) => slot);
    assertEquals(new Set(slots).size, slots.length);
    assertEquals(this.table.size, peers.length);
  }
}

function slotKey(slot: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(slot).buffer);
}

Deno.test("a peer has an entry, a route of its own and a known sender", () => {
  const world = new World();
  world.table.set(
    [peer("10.1.2.0/24", "192.0.2.2", { flags: 3 })],
    at(DEADLINE),
  );
  assertEquals(world.entries(), {
    "10.1.2.0/24": {
      address: address("192.0.2.2"),
      interfaceIndex: 2,
      flags: 3,
      slot: 1,
      deadlineNs: DEADLINE,
    },
  });
  world.assertHolds([A]);
});

Deno.test("a holder of two subnets is one sender, and is known until the last one goes", () => {
  const world = new World();
  const second = { ...B, address: A.address };
  world.table.set([A, second], at(DEADLINE));
  assertEquals(world.senders(), ["192.0.2.2"]);
  world.table.set([second], at(DEADLINE));
  assertEquals(world.senders(), ["192.0.2.2"]);
  world.table.set([], at(DEADLINE));
  assertEquals(world.senders(), []);
});

Deno.test("an entry is there before its route, and as long as it", () => {
  const world = new World();
  const seen: string[] = [];
  world.rtnetlink.onRoutes = (what, routes) => {
    for (const { destination } of routes) {
      const subnet = formatCidr(destination);
      assert(subnet in world.entries(), `${what} ${subnet}: no entry`);
      seen.push(`${what} ${subnet}`);
    }
  };
  world.table.set([A, B], at(DEADLINE));
  world.table.set([B, C], at(DEADLINE));
  world.assertHolds([B, C]);
  const change = { put: [A], removed: [B.subnet] };
  world.table.change(change, at(DEADLINE));
  world.assertHolds([C, A]);
  assertEquals(seen, [
    "put 10.1.2.0/24",
    "put 10.1.3.0/24",
    "put 10.1.4.0/24",
    "remove 10.1.2.0/24",
    "put 10.1.2.0/24",
    "remove 10.1.3.0/24",
  ]);
});

Deno.test("whose packets are accepted is known as a sender before and as long as that", () => {
  const world = new World();
  const { loden_peers: peers, loden_senders: senders } = world.maps;
  const isKnown = (holder: KernelPeer) =>
    senders.lookup(ipv4ToBytes(holder.address)) !== undefined;
  const seen: string[] = [];
  const update = peers.update.bind(peers);
  peers.update = (key, value) => {
    assert(isKnown(A));
    seen.push("put");
    update(key, value);
  };
  const remove = peers.delete.bind(peers);
  peers.delete = (key) => {
    assert(isKnown(A));
    seen.push("remove");
    return remove(key);
  };
  world.table.set([A], at(DEADLINE));
  world.table.set([], at(DEADLINE));
  assert(!isKnown(A));
  assertEquals(seen, ["put", "remove"]);
});

Deno.test("a subnet that moves is one update of one entry, and its route stays", () => {
  const world = new World();
  world.table.set([A, B], at(DEADLINE));
  const requests: string[] = [];
  const { loden_peers: peers } = world.maps;
  const update = peers.update.bind(peers);
  peers.update = (key, value) => {
    requests.push(`update ${key.toHex()} ${decodePeer(value).address}`);
    update(key, value);
  };
  peers.delete = () => {
    throw new Error("deleted");
  };
  world.rtnetlink.changes = 0;
  const moved = { ...A, address: C.address };
  assertEquals(world.table.set([moved, B], at(DEADLINE)), false);
  assertEquals(requests, [
    `update ${peerKey(A.subnet).toHex()} ${C.address}`,
  ]);
  assertEquals(world.rtnetlink.changes, 0);
  world.assertHolds([moved, B]);
});

Deno.test("a moved subnet keeps its slot", () => {
  const world = new World();
  world.table.set([A, B], at(DEADLINE));
  const slot = world.entries()["10.1.2.0/24"]!.slot;
  world.table.set([{ ...A, address: C.address }, B], at(DEADLINE));
  assertEquals(world.entries()["10.1.2.0/24"]!.slot, slot);
});

Deno.test("what is right is not touched, by the next agent either", () => {
  const world = new World();
  world.table.set([A, B], at(DEADLINE));
  for (const map of Object.values(world.maps)) {
    map.update = () => {
      throw new Error("updated");
    };
  }
  world.rtnetlink.changes = 0;
  assertEquals(world.table.set([A, B], at(DEADLINE)), false);
  assertEquals(world.newAgent().set([A, B], at(DEADLINE)), false);
  assertEquals(world.rtnetlink.changes, 0);
});

Deno.test("another deadline is written into every entry, and nothing else is", () => {
  const world = new World();
  world.table.set([A, B], at(DEADLINE));
  world.rtnetlink.changes = 0;
  world.table.set([A, B], at(DEADLINE + 1n));
  const deadlines = Object.values(world.entries()).map((entry) =>
    entry.deadlineNs
  );
  assertEquals(deadlines, [DEADLINE + 1n, DEADLINE + 1n]);
  assertEquals(world.rtnetlink.changes, 0);
});

Deno.test("the path MTU of a peer is on its route, and removed again", () => {
  const world = new World();
  world.table.set([{ ...A, mtuBytes: 1_372 }, B], at(DEADLINE));
  assertEquals(world.routes(), ["10.1.2.0/24 mtu 1372", "10.1.3.0/24"]);
  world.table.set([{ ...A, mtuBytes: 1_272 }, B], at(DEADLINE));
  assertEquals(world.routes(), ["10.1.2.0/24 mtu 1272", "10.1.3.0/24"]);
  world.table.set([A, B], at(DEADLINE));
  world.assertHolds([A, B]);
});

Deno.test("a removed route comes back at the next check and is reported", () => {
  const world = new World();
  world.table.set([A, B], at(DEADLINE));
  const [route] = world.rtnetlink.routes().filter(({ destination }) =>
    formatCidr(destination) === "10.1.2.0/24"
  );
  world.rtnetlink.removeRoute({
    destination: route!.destination,
    metric: route!.metric,
  });
  world.table.readRoutes();
  assertEquals(world.table.set([A, B], at(DEADLINE)), true);
  world.assertHolds([A, B]);
});

Deno.test("a route with another gateway or metric is replaced by the right one", () => {
  const world = new World();
  world.table.set([A, B], at(DEADLINE));
  const metricOf = (subnet: string) =>
    world.rtnetlink.routes().find(({ destination }) =>
      formatCidr(destination) === subnet
    )!.metric;
  const route = (subnet: string, gateway: string, metric: number) => ({
    destination: network(subnet),
    interfaceIndex: world.device,
    gateway: address(gateway),
    onlink: true,
    metric,
  });
  world.rtnetlink.replaceRoute(
    route("10.1.2.0/24", "10.1.9.0", metricOf("10.1.2.0/24")),
  );
  world.rtnetlink.removeRoute({
    destination: B.subnet,
    metric: metricOf("10.1.3.0/24"),
  });
  world.rtnetlink.replaceRoute(route("10.1.3.0/24", "10.1.3.0", 7_777));
  world.table.readRoutes();
  const before = metricOf("10.1.3.0/24");
  assertEquals(world.table.set([A, B], at(DEADLINE)), true);
  world.assertHolds([A, B]);
  assert(metricOf("10.1.3.0/24") !== before);
});

Deno.test("routes of other devices, tables and kinds are left alone", () => {
  const world = new World();
  const other = world.rtnetlink.addLink({ name: "eth0", up: true }).index;
  const destination = network("10.1.9.0/24");
  world.rtnetlink.addRoute({ destination, interfaceIndex: other });
  world.rtnetlink.addRoute({
    destination,
    interfaceIndex: world.device,
    table: 100,
  });
  world.rtnetlink.addRoute({
    destination: network("10.1.0.0/16"),
    type: "unreachable",
    metric: 5,
  });
  const before = world.rtnetlink.routes();
  world.newAgent().set([A], at(DEADLINE));
  world.table.set([], at(DEADLINE));
  assertEquals(world.rtnetlink.routes(), before);
});

Deno.test("two subnets have routes of two metrics, which the kernel need not compare", () => {
  const world = new World();
  world.table.set(manyPeers(1_024), at(DEADLINE));
  const metrics = world.rtnetlink.routes()
    .filter(({ interfaceIndex }) => interfaceIndex === world.device)
    .map(({ metric }) => metric);
  assertEquals(new Set(metrics).size, 1_024);
  assert(metrics.every((metric) => metric > 0));
});

Deno.test("an agent that comes later goes on with the slots of the one before", () => {
  const world = new World();
  world.table.set([A, B], at(DEADLINE));
  const before = world.entries();
  world.newAgent().set([A, B, C], at(DEADLINE));
  const { "10.1.4.0/24": added, ...kept } = world.entries();
  assertEquals(kept, before);
  assert(!Object.values(before).some(({ slot }) => slot === added!.slot));
});

Deno.test("an agent that comes later removes what the one before has left", () => {
  const world = new World();
  world.table.set([A, B], at(DEADLINE));
  world.newAgent().set([C], at(DEADLINE));
  world.assertHolds([C]);
});

Deno.test("a slot is given away again and begins to count at 0", () => {
  const world = new World();
  world.table.set([A, B], at(DEADLINE));
  const { slot } = world.entries()["10.1.2.0/24"]!;
  world.count(slot);
  world.table.set([B], at(DEADLINE));
  world.table.set([B, C], at(DEADLINE));
  assertEquals(world.entries()["10.1.4.0/24"]!.slot, slot);
  assertEquals(world.traffic(slot), [0, 0]);
});

Deno.test("a slot whose peer has gone begins at 0 also under the next agent", () => {
  const world = new World();
  world.table.set([A], at(DEADLINE));
  const { slot } = world.entries()["10.1.2.0/24"]!;
  world.count(slot);
  // The agent ended in the middle of removing the peer.
  world.maps.loden_peers.delete(peerKey(A.subnet));
  world.newAgent().set([B], at(DEADLINE));
  assertEquals(world.entries()["10.1.3.0/24"]!.slot, slot);
  assertEquals(world.traffic(slot), [0, 0]);
});

Deno.test("a peer that stays goes on counting when others come and go", () => {
  const world = new World();
  world.table.set([A], at(DEADLINE));
  const { slot } = world.entries()["10.1.2.0/24"]!;
  world.count(slot);
  world.table.set([A, B], at(DEADLINE + 1n));
  world.table.set([A, C], at(DEADLINE + 2n));
  assertEquals(world.traffic(slot), [7, 7]);
});

Deno.test("peers beyond the slots share the first one, and leave it to the others", () => {
  const world = new World();
  const peers = manyPeers(PEER_SLOTS + 10);
  world.table.set(peers, at(DEADLINE));
  const slots = Object.values(world.entries()).map(({ slot }) => slot);
  assertEquals(new Set(slots).size, PEER_SLOTS);
  assertEquals(slots.filter((slot) => slot === 0).length, 11);
  world.count(0);
  const sharing = Object.entries(world.entries()).filter(([, { slot }]) =>
    slot === 0
  ).map(([subnet]) => subnet);
  const others = peers.filter(({ subnet }) =>
    !sharing.slice(0, 5).includes(formatCidr(subnet))
  );
  world.table.set(others, at(DEADLINE));
  const late = peer("10.200.0.0/24", "192.0.2.200");
  world.table.set([...others, late], at(DEADLINE));
  assertEquals(world.entries()["10.200.0.0/24"]?.slot, 0);
  assertEquals(world.traffic(0), [7, 7]);
});

Deno.test("what each peer sent and got is the sum over all CPUs, by subnet", () => {
  const world = new World();
  world.table.set([A, B], at(DEADLINE));
  const { slot } = world.entries()["10.1.3.0/24"]!;
  const value = world.maps.loden_traffic.lookup(slotKey(slot))!;
  const view = new DataView(value.buffer);
  for (const [at, number] of [1n, 100n, 2n, 200n, 10n, 1_000n].entries()) {
    view.setBigUint64(at * 8, number, true);
  }
  world.maps.loden_traffic.update(slotKey(slot), value);
  const zeros = { txPackets: 0, txBytes: 0, rxPackets: 0, rxBytes: 0 };
  assertEquals(world.newAgent().traffic(), [
    { subnet: A.subnet, ...zeros },
    {
      subnet: B.subnet,
      txPackets: 11,
      txBytes: 1_100,
      rxPackets: 2,
      rxBytes: 200,
    },
  ]);
});

Deno.test("no traffic is reported for peers that share a slot", () => {
  const world = new World();
  world.table.set(manyPeers(PEER_SLOTS + 10), at(DEADLINE));
  world.count(0);
  const traffic = world.table.traffic();
  assertEquals(traffic.length, PEER_SLOTS - 1);
  assert(traffic.every(({ txPackets }) => txPackets === 0));
});

Deno.test("a slot that is free is taken before the shared one", () => {
  const world = new World();
  const peers = manyPeers(PEER_SLOTS + 10);
  world.table.set(peers, at(DEADLINE));
  const last = Object.entries(world.entries()).filter(([, { slot }]) =>
    slot === 0
  ).map(([subnet]) => subnet);
  const rest = peers.slice(1).filter(({ subnet }) =>
    !last.includes(formatCidr(subnet))
  );
  world.table.set(rest, at(DEADLINE));
  const late = peer("10.200.0.0/24", "192.0.2.200");
  world.table.set([...rest, late], at(DEADLINE));
  assert(world.entries()["10.200.0.0/24"]!.slot !== 0);
});

/** Where a change of A, B to B, C and two more may break off. */
const BREAKS: readonly [
  where: string,
  breakOff: (world: World, refusal: Error) => void,
][] = [
  [
    "before the senders",
    ({ maps }, refusal) => failOnce(maps.loden_senders, "update", 0, refusal),
  ],
  [
    "between two senders",
    ({ maps }, refusal) => failOnce(maps.loden_senders, "update", 1, refusal),
  ],
  [
    "before slots are cleared",
    ({ maps }, refusal) => failOnce(maps.loden_traffic, "update", 0, refusal),
  ],
  [
    "before the entries",
    ({ maps }, refusal) => failOnce(maps.loden_peers, "update", 0, refusal),
  ],
  [
    "between two entries",
    ({ maps }, refusal) => failOnce(maps.loden_peers, "update", 2, refusal),
  ],
  [
    "before routes are put",
    ({ rtnetlink }, refusal) =>
      failOnce(rtnetlink, "replaceRoutes", 0, refusal),
  ],
  [
    "between two routes",
    ({ rtnetlink }, refusal) => failOnce(rtnetlink, "replaceRoute", 1, refusal),
  ],
  [
    "before routes are removed",
    ({ rtnetlink }, refusal) => failOnce(rtnetlink, "removeRoutes", 0, refusal),
  ],
  [
    "before entries are removed",
    ({ maps }, refusal) => failOnce(maps.loden_peers, "delete", 0, refusal),
  ],
  [
    "before senders are removed",
    ({ maps }, refusal) => failOnce(maps.loden_senders, "delete", 0, refusal),
  ],
];
const D = peer("10.1.5.0/24", "192.0.2.5");
const E = peer("10.1.6.0/24", "192.0.2.6");
/** What is asked for after the failure. */
const NEXT: readonly [string, readonly KernelPeer[]][] = [
  ["the same peers", [B, C, D, E]],
  ["the peers of before", [A, B]],
  ["other peers", [peer("10.1.9.0/24", "192.0.2.9")]],
  ["no peers", []],
];
for (const [where, breakOff] of BREAKS) {
  for (const [what, next] of NEXT) {
    Deno.test(`a change that breaks off ${where} is completed by ${what}`, () => {
      const world = new World();
      world.table.set([A, B], at(DEADLINE));
      const refusal = where.includes("route")
        ? new NetlinkError("put a route", ERRNO.ENETDOWN)
        : new BpfError("change the map", ERRNO.ENOMEM);
      breakOff(world, refusal);
      const thrown = assertThrows(() =>
        world.table.set([B, C, D, E], at(DEADLINE))
      );
      assertEquals(thrown, refusal);
      world.table.set(next, at(DEADLINE));
      world.assertHolds(next);
    });
    Deno.test(`a change of some peers that breaks off ${where} is completed by ${what}`, () => {
      const world = new World();
      world.table.set([A, B], at(DEADLINE));
      const refusal = new BpfError("change the map", ERRNO.ENOMEM);
      breakOff(world, refusal);
      const thrown = assertThrows(() =>
        world.table.change(
          { put: [C, D, E], removed: [A.subnet] },
          at(DEADLINE),
        )
      );
      assertEquals(thrown, refusal);
      world.table.set(next, at(DEADLINE));
      world.assertHolds(next);
    });
  }
}

Deno.test("a change of one peer touches that one alone", () => {
  const world = new World();
  world.table.set(manyPeers(100), at(DEADLINE));
  const keys: string[] = [];
  const { loden_peers: peers } = world.maps;
  const update = peers.update.bind(peers);
  peers.update = (key, value) => {
    keys.push(key.toHex());
    update(key, value);
  };
  world.rtnetlink.changes = 0;
  const added = peer("10.200.0.0/24", "192.0.2.200");
  world.table.change({ put: [added], removed: [] }, at(DEADLINE));
  assertEquals(keys, [peerKey(added.subnet).toHex()]);
  assertEquals(world.rtnetlink.changes, 1);
  world.table.change({ put: [], removed: [added.subnet] }, at(DEADLINE));
  world.assertHolds(manyPeers(100));
});

Deno.test("of one that is removed the holder stays known for its other subnet", () => {
  const world = new World();
  const second = { ...B, address: A.address };
  world.table.set([A, second], at(DEADLINE));
  world.table.change({ put: [], removed: [A.subnet] }, at(DEADLINE));
  assertEquals(world.senders(), ["192.0.2.2"]);
  world.table.change({
    put: [{ ...second, address: C.address }],
    removed: [],
  }, at(DEADLINE));
  assertEquals(world.senders(), ["192.0.2.4"]);
});

Deno.test("any changes come to the same as setting what they end with", () => {
  const subnets = fc.integer({ min: 2, max: 9 }).map((third) =>
    `10.1.${third}.0/24`
  );
  const put = fc.record({
    subnet: subnets,
    holder: fc.integer({ min: 2, max: 5 }).map((host) => `192.0.2.${host}`),
  }).map(({ subnet, holder }) => peer(subnet, holder));
  const changes = fc.array(
    fc.record({
      put: fc.uniqueArray(put, {
        selector: ({ subnet }) => subnet.address,
        maxLength: 4,
      }),
      removed: fc.uniqueArray(subnets, { maxLength: 4 }),
    }),
    { maxLength: 8 },
  );
  fc.assert(fc.property(changes, (steps) => {
    const world = new World();
    const peers = new Map<string, KernelPeer>();
    world.table.set([], at(DEADLINE));
    for (const { put, removed } of steps) {
      const gone = removed.filter((text) =>
        !put.some(({ subnet }) => formatCidr(subnet) === text)
      );
      for (const text of gone) peers.delete(text);
      for (const one of put) peers.set(formatCidr(one.subnet), one);
      world.table.change({ put, removed: gone.map(network) }, at(DEADLINE));
      world.assertHolds([...peers.values()]);
    }
    world.rtnetlink.changes = 0;
    world.newAgent().set([...peers.values()], at(DEADLINE));
    assertEquals(world.rtnetlink.changes, 0);
  }));
});

Deno.test("a full map is an error, and what fits stays", () => {
  const world = new World();
  const bpf = new FakeBpf();
  const peers = bpf.createMap({ ...MAPS.loden_peers, maxEntries: 2 });
  const table = new KernelPeerTable(
    { ...world.maps, loden_peers: peers },
    world.rtnetlink,
    world.device,
  );
  const error = assertThrows(
    () => table.set([A, B, C], at(DEADLINE)),
    BpfError,
  );
  assertEquals(error.errno, ERRNO.ENOSPC);
  assertEquals(Object.keys(peersIn(peers)), ["10.1.2.0/24", "10.1.3.0/24"]);
  table.set([B], at(DEADLINE));
  assertEquals(Object.keys(peersIn(peers)), ["10.1.3.0/24"]);
});
