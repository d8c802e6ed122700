import { assert, assertEquals, assertThrows } from "@std/assert";
import type { EbpfDataPath } from "../../../../../backend/udp/ebpf/ebpf_data_path.ts";
import { NoEthernetError } from "../../../../../backend/udp/ebpf/errors.ts";
import {
  arrivalKey,
  MAPS,
  PEER_FLAG,
} from "../../../../../backend/udp/ebpf/maps.ts";
import { programName } from "../../../../../backend/udp/ebpf/programs/programs.ts";
import type { Bpf } from "../../../../../linux/bpf/bpf.ts";
import { BpfError } from "../../../../../linux/bpf/errors.ts";
import {
  exit,
  loadMap,
  mov,
  R0,
  R1,
} from "../../../../../linux/bpf/instructions.ts";
import { ERRNO } from "../../../../../linux/errno.ts";
import { formatCidr } from "../../../../../net/cidr.ts";
import type { Peer } from "../../../../../net/peer.ts";
import {
  ALIAS,
  EbpfWorld,
  idleProgram,
  OWNER,
  STRANGER,
} from "../../../../support/ebpf_world.ts";
import {
  added,
  address,
  network,
  peer,
} from "../../../../support/kernel_world.ts";

const RX = `loden_rx_${OWNER.suffix}`;
const TX = `loden_tx_${OWNER.suffix}`;
const HOP = `loden_hop_${OWNER.suffix}`;
const XDP = `loden_xdp_${OWNER.suffix}`;
/** What runs on a host with one card. */
const ALL = [
  `eth0 ingress ${RX} tcx`,
  `flannel0p ingress ${HOP} tcx`,
  `flannel0 egress ${TX} tcx`,
];
const DAY_NS = 24n * 3_600n * 1_000_000_000n;
const TEN_MINUTES_MS = 600_000;

const A = peer("10.1.2.0/24", "192.0.2.2");
const B = peer("10.1.3.0/24", "192.0.2.3");
const B_ADDRESS = network("192.0.2.3/32");

/** Peers set, as an agent has them that runs. */
async function running(
  world: EbpfWorld,
  peers: readonly Peer[] = [A, B],
): Promise<EbpfDataPath> {
  const path = world.start();
  await path.changePeers(added(...peers));
  return path;
}

/** The ids of the programs of the overlay device and of `eth0`. */
function idsOf(world: EbpfWorld): Record<string, number> {
  return Object.fromEntries(
    world.rtnetlink.links().flatMap(({ index }) =>
      (["ingress", "egress"] as const).flatMap((direction) =>
        world.bpf.attachedPrograms(index, direction).map(({ name, id }) => [
          name,
          id,
        ])
      )
    ),
  );
}

Deno.test("a start makes the pair, its address, the unreachable route and the programs", () => {
  const world = new EbpfWorld();
  const path = world.start();
  assertEquals(path.deviceName, "flannel0");
  const { up, mtuBytes, index } = world.link("flannel0");
  assertEquals([up, mtuBytes], [true, 1_472]);
  assert(world.link("flannel0p").up);
  assertEquals(
    world.rtnetlink.addresses().filter((one) => one.interfaceIndex === index)
      .map((one) => [one.address, one.prefixLength]),
    [[address("10.1.1.0"), 32]],
  );
  assertEquals(
    world.rtnetlink.routes().filter(({ type }) => type === "unreachable")
      .map(({ destination }) => formatCidr(destination)),
    ["10.1.0.0/16"],
  );
  assertEquals(world.attached(), ALL);
});

Deno.test("on a host without tcx, programs are attached by clsact", () => {
  const world = new EbpfWorld();
  world.bpf.tcx = false;
  world.start();
  assertEquals(
    world.attached(),
    ALL.map((text) => text.replace("tcx", "clsact")),
  );
});

Deno.test("nothing is sent before it would be received: the program that sends comes last, behind the peers", async () => {
  const world = new EbpfWorld();
  const seen: string[] = [];
  const attach = world.bpf.attach.bind(world.bpf);
  world.bpf.attach = (...args) => {
    seen.push(args[2].name);
    return attach(...args);
  };
  await running(world);
  assertEquals(seen, [RX, HOP, TX]);
});

Deno.test("a check does not touch what is right", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  world.rtnetlink.changes = 0;
  for (
    const method of [
      "attach",
      "detach",
      "setXdp",
      "loadProgram",
      "createMap",
    ] as const
  ) {
    world.bpf.failWith(method, new Error(method));
  }
  assertEquals([path.mend(), path.mend()], [[], []]);
  await path.changePeers(added(A, B));
  assertEquals(world.rtnetlink.changes, 0);
});

Deno.test("a peer's flags are what its receiver can take, as its lease says", async () => {
  const world = new EbpfWorld();
  await running(world, [
    { ...A, dataPath: "ebpf" },
    { ...B, dataPath: "tun" },
    peer("10.1.4.0/24", "192.0.2.4"),
  ]);
  assertEquals(
    Object.values(world.peersInUse()).map(({ flags }) => flags),
    [0, PEER_FLAG.CUT | PEER_FLAG.CHECKSUM, PEER_FLAG.CUT],
  );
});

Deno.test("a peer that changes its data path is one update of its entry", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  const before = world.peersInUse();
  await path.changePeers({
    added: [],
    changed: [{ ...A, dataPath: "ebpf" }],
    removed: [],
  });
  assertEquals(world.peersInUse(), {
    ...before,
    "10.1.2.0/24": { ...before["10.1.2.0/24"]!, flags: 0 },
  });
});

Deno.test("this host's own addresses are no peer's", async () => {
  const world = new EbpfWorld();
  const { underlay } = world.options;
  const path = world.start({
    underlay: { ...underlay, publicIp: address("203.0.113.1") },
  });
  await path.changePeers(added(
    A,
    peer("10.1.7.0/24", "192.0.2.1"),
    peer("10.1.8.0/24", "203.0.113.1"),
  ));
  assertEquals(Object.keys(world.peersInUse()), ["10.1.2.0/24"]);
  assertEquals(world.overlayRoutes(), ["10.1.2.0/24"]);
});

Deno.test("peers count for a lease's day and ten minutes", async () => {
  const world = new EbpfWorld();
  await running(world);
  const deadlines = Object.values(world.peersInUse())
    .map(({ deadlineNs }) => deadlineNs - world.bootedNs);
  const life = DAY_NS + 600_000_000_000n;
  assertEquals(deadlines, [life, life]);
});

Deno.test("a peer's deadline is the end of the trust in it, each its own", async () => {
  const world = new EbpfWorld();
  const hours = new Map([["10.1.2.0/24", 3], ["10.1.3.0/24", 0]]);
  world.trust = {
    remainingMs: (subnet) => hours.get(formatCidr(subnet))! * 3_600_000,
  };
  const path = await running(world);
  const deadlines = () =>
    Object.values(world.peersInUse()).map(({ deadlineNs }) =>
      Number((deadlineNs - world.bootedNs) / 3_600_000_000_000n)
    );
  assertEquals(deadlines(), [3, 0]);
  // etcd confirms one of them: the next look at the deadlines knows.
  hours.set("10.1.3.0/24", 24);
  path.mend();
  assertEquals(deadlines(), [3, 0]);
  await world.clock.advance(TEN_MINUTES_MS);
  path.mend();
  assertEquals(deadlines(), [3, 24]);
});

Deno.test("deadlines are put off every ten minutes, and not rewritten meanwhile", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  const deadlines = () =>
    Object.values(world.peersInUse()).map(({ deadlineNs }) => deadlineNs);
  const [first] = deadlines();
  await world.clock.advance(TEN_MINUTES_MS - 1);
  path.mend();
  await path.changePeers(added(peer("10.1.4.0/24", "192.0.2.4")));
  assertEquals(deadlines(), [first!, first!, first!]);
  await world.clock.advance(1);
  path.mend();
  const later = first! + BigInt(TEN_MINUTES_MS) * 1_000_000n;
  assertEquals(deadlines(), [later, later, later]);
});

Deno.test("the next agent puts the deadlines off at once", async () => {
  const world = new EbpfWorld();
  await running(world);
  const [first] = Object.values(world.peersInUse());
  await world.clock.advance(1_000);
  await running(world);
  const [second] = Object.values(world.peersInUse());
  assertEquals(second!.deadlineNs - first!.deadlineNs, 1_000_000_000n);
});

Deno.test("after a kill the next agent has the same devices and maps, and peers count on until it knows them", async () => {
  const world = new EbpfWorld();
  await running(world);
  const device = world.link("flannel0").index;
  const peers = world.peersInUse();
  const maps = world.bpf.maps.length;
  const ids = idsOf(world);
  const next = world.start();
  assertEquals(world.link("flannel0").index, device);
  assertEquals(world.peersInUse(), peers);
  assertEquals(world.bpf.maps.length, maps);
  assertEquals(world.overlayRoutes(), ["10.1.2.0/24", "10.1.3.0/24"]);
  // Its own programs, which may be another version's, in the others' places.
  assertEquals(world.attached(), ALL);
  for (const [name, id] of Object.entries(idsOf(world))) {
    assert(id !== ids[name], name);
  }
  await next.changePeers(added(B));
  assertEquals(Object.keys(world.peersInUse()), ["10.1.3.0/24"]);
  assertEquals(world.overlayRoutes(), ["10.1.3.0/24"]);
});

Deno.test("the next agent replaces each program in one step: there is no moment without one", async () => {
  const world = new EbpfWorld();
  await running(world);
  world.bpf.failWith("detach", new Error("detached"));
  await running(world);
  assertEquals(world.attached(), ALL);
});

Deno.test("after a stop everything runs on, and the process holds nothing of it", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  const before = world.peersInUse();
  await path.stop();
  await path.failed;
  assertEquals(world.attached(), ALL);
  assertEquals(world.peersInUse(), before);
  for (const { index } of world.rtnetlink.links()) {
    world.bpf.removeInterface(index);
  }
  assertEquals([world.bpf.programs.length, world.bpf.maps.length], [0, 0]);
});

/** An agent of another version: its map of peers has longer values. */
function otherVersion(world: EbpfWorld): void {
  const { bpf } = world;
  const path = world.start();
  void path.stop();
  const peers = bpf.createMap({ ...MAPS.loden_peers, valueBytes: 32 });
  for (
    const [device, direction, role] of [
      ["flannel0p", "ingress", "hop"],
      ["flannel0", "egress", "egress"],
      ["eth0", "ingress", "ingress"],
    ] as const
  ) {
    const { index } = world.link(device);
    const [attached] = bpf.attachedPrograms(index, direction);
    using program = bpf.loadProgram({
      name: programName(role, OWNER.suffix),
      type: "schedCls",
      maps: { loden_peers: peers },
      build: () => [loadMap(R1, "loden_peers"), mov(R0, 0), exit()],
    });
    bpf.attach(index, direction, program, { replace: attached });
  }
}

Deno.test("programs with maps of another kind carry on until the peers are known, and are replaced then", async () => {
  const world = new EbpfWorld();
  otherVersion(world);
  const before = idsOf(world);
  const path = world.start();
  assertEquals(idsOf(world), before);
  assertEquals(path.deviceName, "flannel0");
  const known: Record<string, number> = {};
  const attach = world.bpf.attach.bind(world.bpf);
  world.bpf.attach = (index, direction, program, options) => {
    for (const id of program.mapIds) {
      using map = world.bpf.openMap(id)!;
      if (map.name !== MAPS.loden_peers.name) continue;
      known[program.name] = map.entries().length;
    }
    return attach(index, direction, program, options);
  };
  world.bpf.failWith("detach", new Error("detached"));
  await path.changePeers(added(A, B));
  assertEquals(world.attached(), ALL);
  // Each knows all peers when the first packet meets it.
  assertEquals(known, { [RX]: 2, [HOP]: 2, [TX]: 2 });
  for (const [name, id] of Object.entries(idsOf(world))) {
    assert(id !== before[name], name);
  }
  assertEquals(Object.keys(world.peersInUse()), ["10.1.2.0/24", "10.1.3.0/24"]);
});

Deno.test("programs with maps of another kind are not replaced by repairs either", async () => {
  const world = new EbpfWorld();
  otherVersion(world);
  const before = idsOf(world);
  const path = world.start();
  await world.clock.advance(5_000);
  path.mend();
  assertEquals(idsOf(world), before);
});

Deno.test("a TUN of the user-space path gives its name to the pair", () => {
  const world = new EbpfWorld();
  const tun = world.rtnetlink.addLink({
    name: "flannel0",
    kind: "tun",
    alias: ALIAS,
  });
  world.start();
  assert(!world.rtnetlink.links().some(({ index }) => index === tun.index));
  assertEquals(world.attached(), ALL);
});

Deno.test("what belongs to another network or to none is left alone", async () => {
  const world = new EbpfWorld();
  const foreign = idleProgram(world.bpf, "cil_from_netdev");
  world.bpf.attach(world.eth0.index, "ingress", foreign);
  const other = world.start({
    network: network("10.2.0.0/16"),
    subnet: network("10.2.1.0/24"),
    port: 9_000,
    deviceAlias: STRANGER.alias,
  });
  const before = world.attached();
  const path = await running(world);
  assertEquals([other.deviceName, path.deviceName], ["flannel0", "flannel1"]);
  const isOurs = (text: string) => text.includes(OWNER.suffix);
  assertEquals(world.attached().filter((text) => !isOurs(text)), before);
  assertEquals(world.attached().filter(isOurs), [
    `eth0 ingress ${RX} tcx`,
    `flannel1p ingress ${HOP} tcx`,
    `flannel1 egress ${TX} tcx`,
  ]);
  assertEquals([other.mend(), path.mend()], [[], []]);
});

Deno.test("a deleted device is created again, with its peers, routes and programs", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  const before = world.peersInUse();
  const gone = world.link("flannel0");
  world.rtnetlink.deleteLink(gone.index);
  const mended = path.mend();
  assert(mended.includes("device"), mended.join());
  assert(world.link("flannel0").index !== gone.index);
  assertEquals(world.attached(), ALL);
  assertEquals(world.peersInUse(), before);
  assertEquals(world.overlayRoutes(), ["10.1.2.0/24", "10.1.3.0/24"]);
  assertEquals(path.mend(), []);
});

Deno.test("after a device was created again, no program of the former one is kept", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  const programs = world.bpf.programs.length;
  const gone = world.link("flannel0");
  world.rtnetlink.deleteLink(gone.index);
  path.mend();
  assertEquals(world.bpf.programs.length, programs);
});

/** A change, and what the log says was restored. */
const REPAIRS: readonly [
  what: string,
  said: string,
  change: (world: EbpfWorld) => void,
][] = [
  [
    "the device down",
    "device",
    (world) =>
      world.rtnetlink.changeLink(world.link("flannel0").index, { up: false }),
  ],
  [
    "the other end down",
    "device",
    (world) =>
      world.rtnetlink.changeLink(world.link("flannel0p").index, { up: false }),
  ],
  [
    "another MTU",
    "device",
    (world) =>
      world.rtnetlink.changeLink(world.link("flannel0").index, {
        mtuBytes: 1_300,
      }),
  ],
  [
    "no GRO",
    "device",
    (world) => world.ethtool.setFeatures("flannel0", { "rx-gro": false }),
  ],
  [
    "no address",
    "device",
    (world) =>
      world.rtnetlink.removeAddress(world.link("flannel0").index, {
        address: address("10.1.1.0"),
        prefixLength: 32,
      }),
  ],
  [
    "no route behind the peers'",
    "device",
    (world) => {
      const route = world.rtnetlink.routes().find(({ type }) =>
        type === "unreachable"
      )!;
      world.rtnetlink.removeRoute({
        destination: route.destination,
        type: "unreachable",
        metric: route.metric,
      });
    },
  ],
  ["no program at the device", "program at flannel0", (world) => {
    const { index } = world.link("flannel0");
    const [attached] = world.bpf.attachedPrograms(index, "egress");
    world.bpf.detach(index, "egress", attached!);
  }],
  ["no program at the other end", "program at flannel0p", (world) => {
    const { index } = world.link("flannel0p");
    const [attached] = world.bpf.attachedPrograms(index, "ingress");
    world.bpf.detach(index, "ingress", attached!);
  }],
  ["no program at the underlay", "programs at eth0", (world) => {
    const [attached] = world.bpf.attachedPrograms(world.eth0.index, "ingress");
    world.bpf.detach(world.eth0.index, "ingress", attached!);
  }],
];
for (const [what, said, change] of REPAIRS) {
  Deno.test(`a data path with ${what} is restored, which is logged once`, async () => {
    const world = new EbpfWorld();
    const path = await running(world);
    const maps = world.bpf.maps.length;
    const links = world.rtnetlink.links();
    change(world);
    path.forgetRoutes();
    const mended = path.mend();
    assert(mended.includes(said), mended.join());
    path.forgetRoutes();
    assertEquals(path.mend(), []);
    assertEquals(world.attached(), ALL);
    assertEquals(
      world.rtnetlink.links().map(({ name, up, mtuBytes }) => [
        name,
        up,
        mtuBytes,
      ]),
      links.map(({ name, up, mtuBytes }) => [name, up, mtuBytes]),
    );
    assertEquals(world.overlayRoutes(), ["10.1.2.0/24", "10.1.3.0/24"]);
    assertEquals(world.bpf.maps.length, maps);
  });
}

for (const name of ["flannel0", "flannel0p"]) {
  Deno.test(`when ${name} gets another hardware address, programs with that address replace the others, and it is reported`, async () => {
    const world = new EbpfWorld();
    const path = await running(world);
    const before = idsOf(world);
    const peers = world.peersInUse();
    const mac = Uint8Array.of(2, 0, 0x5e, 0, 0x53, 1);
    world.rtnetlink.macs.set(name, mac);
    world.bpf.failWith("detach", new Error("detached"));
    assertEquals(path.mend(), [
      "program at flannel0p",
      "program at flannel0",
    ]);
    assertEquals(world.attached(), ALL);
    for (const [role, id] of Object.entries(idsOf(world))) {
      assert(id !== before[role], role);
    }
    assertEquals(world.peersInUse(), peers);
    assertEquals(path.mend(), []);
    if (name === "flannel0") assertEquals(path.hop.mac, mac);
  });
}

Deno.test("an underlay that comes back with another index has its programs and its peers again", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  world.rtnetlink.deleteLink(world.eth0.index);
  path.mend();
  const again = world.addUnderlay("eth0", "192.0.2.1/24");
  path.mend();
  assertEquals(world.attached().toSorted(), ALL.toSorted());
  assertEquals(
    Object.values(world.peersInUse()).map((entry) => entry.interfaceIndex),
    [again.index, again.index],
  );
  assertEquals(path.mend(), []);
});

Deno.test("a removed underlay does not block other repairs", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  world.rtnetlink.deleteLink(world.eth0.index);
  const { index } = world.link("flannel0");
  const [attached] = world.bpf.attachedPrograms(index, "egress");
  world.bpf.detach(index, "egress", attached!);
  path.mend();
  assertEquals(world.attached(), ALL.slice(1));
});

Deno.test("a peer by another device is sent there and received from there, and only as long as that", async () => {
  const world = new EbpfWorld();
  const eth1 = world.addUnderlay("eth1", "198.51.100.1/24");
  const path = await running(world);
  assertEquals(world.attached(), ALL);
  const route = {
    destination: network("192.0.2.3/32"),
    gateway: address("198.51.100.2"),
    interfaceIndex: eth1.index,
  };
  world.rtnetlink.replaceRoute(route);
  path.mend();
  assertEquals(
    Object.values(world.peersInUse()).map((entry) => entry.interfaceIndex),
    [world.eth0.index, eth1.index],
  );
  assertEquals(
    world.attached().filter((text) => text.startsWith("eth")),
    [`eth0 ingress ${RX} tcx`, `eth1 ingress ${RX} tcx`],
  );
  world.rtnetlink.removeRoute(route);
  path.mend();
  assertEquals(world.attached(), ALL);
  assertEquals(
    Object.values(world.peersInUse()).map((entry) => entry.interfaceIndex),
    [world.eth0.index, world.eth0.index],
  );
});

Deno.test("a peer without a route now is kept, by the lease's device", async () => {
  const world = new EbpfWorld();
  const path = await running(world, [peer("10.1.2.0/24", "203.0.113.9")]);
  assertEquals(
    world.peersInUse()["10.1.2.0/24"]!.interfaceIndex,
    world.eth0.index,
  );
  assertEquals(path.mend(), []);
});

Deno.test("an earlier agent's programs at a device that is no underlay any more go as soon as the peers are known", async () => {
  const world = new EbpfWorld();
  const eth1 = world.addUnderlay("eth1", "198.51.100.1/24");
  const { underlay } = world.options;
  world.start();
  const path = world.start({
    underlay: {
      ...underlay,
      interfaceName: "eth1",
      interfaceIndex: eth1.index,
      address: address("198.51.100.1"),
      publicIp: address("198.51.100.1"),
    },
  });
  const attached = () =>
    world.attached().filter((text) => text.startsWith("eth"));
  const [former, present] = ["eth0", "eth1"].map((name) =>
    `${name} ingress ${RX} tcx`
  );
  assertEquals(attached(), [former, present]);
  await path.changePeers({ added: [], changed: [], removed: [] });
  assertEquals(attached(), [present]);
});

Deno.test("of a route with several next hops each one's device has programs and speaks for the peer, as long as that", async () => {
  const world = new EbpfWorld();
  const eth1 = world.addUnderlay("eth1", "198.51.100.1/24");
  const { rtnetlink } = world;
  const routes = rtnetlink.routes.bind(rtnetlink);
  let isThere = true;
  rtnetlink.routes = () => [
    ...routes(),
    ...isThere
      ? [{ ...routes()[0]!, destination: B_ADDRESS, multipath: true }]
      : [],
  ];
  rtnetlink.nextHops = () => [world.eth0.index, eth1.index];
  const path = await running(world);
  const arrivals = () => {
    const { id } = world.bpf.maps.find(({ spec }) =>
      spec.name === MAPS.loden_arrivals.name
    )!;
    using map = world.bpf.openMap(id)!;
    return map.entries().map(({ key }) => key);
  };
  assertEquals(
    world.attached().filter((text) => text.startsWith("eth")),
    [`eth0 ingress ${RX} tcx`, `eth1 ingress ${RX} tcx`],
  );
  assertEquals(arrivals(), [arrivalKey(B.publicIp, eth1.index)]);
  isThere = false;
  path.mend();
  assertEquals(world.attached(), ALL);
  assertEquals(arrivals(), []);
});

Deno.test("below a bond, the ports decide whether UDP is cut, also when they change", async () => {
  const world = new EbpfWorld();
  const on = { active: true, requested: true, changeable: true };
  const offloads = {
    "tx-udp-segmentation": on,
    "tx-udp_tnl-segmentation": on,
  };
  const bond = world.addUnderlay("bond0", "198.51.100.1/24", "bond");
  const addPort = (name: string, kind: string) => {
    world.rtnetlink.addLink({
      name,
      kind,
      up: true,
      masterIndex: bond.index,
    });
    world.ethtool.plugIn(name, kind || "mlx5_core", offloads);
  };
  world.ethtool.plugIn("bond0", "bonding", offloads);
  addPort("port0", "");
  world.rtnetlink.replaceRoute({
    destination: network("198.51.100.0/24"),
    interfaceIndex: bond.index,
  });
  const path = await running(world, [peer("10.1.4.0/24", "198.51.100.4")]);
  const before = idsOf(world);
  path.mend();
  assertEquals(idsOf(world), before);
  // Behind it is a machine of this host.
  addPort("tap0", "tun");
  path.mend();
  assert(idsOf(world)[TX] !== before[TX]);
});

Deno.test("a device that leaves the set of underlays at the moment in which other programs are needed loses its own, and it is said", async () => {
  const world = new EbpfWorld();
  const one = world.addUnderlay("one", "198.51.100.1/24", "veth");
  const on = { active: true, requested: true, changeable: true };
  world.ethtool.plugIn("one", "veth", {
    "tx-udp-segmentation": on,
    "tx-udp_tnl-segmentation": on,
  });
  world.rtnetlink.replaceRoute({
    destination: network("198.51.100.0/24"),
    interfaceIndex: one.index,
  });
  const far = peer("10.1.4.0/24", "198.51.100.4");
  const path = await running(world, [A, far]);
  assertEquals(
    world.bpf.attachedPrograms(one.index, "ingress").map(({ name }) => name),
    [RX],
  );
  // Without it nothing passes super-packets whole any more: other constants.
  await path.changePeers({ added: [], changed: [], removed: [far] });
  assertEquals(path.look(), [
    "programs at one",
    "program at flannel0p",
    "program at flannel0",
  ]);
  assertEquals(world.bpf.attachedPrograms(one.index, "ingress"), []);
});

Deno.test("a program of this network at a device that is no underlay goes with the next look, and it is said", async () => {
  const world = new EbpfWorld();
  const eth1 = world.addUnderlay("eth1", "198.51.100.1/24");
  const path = await running(world);
  const strangers = [RX, `loden_rx_${STRANGER.suffix}`]
    .map((name) => idleProgram(world.bpf, name));
  for (const program of strangers) {
    world.bpf.attach(eth1.index, "ingress", program);
  }
  await world.clock.advance(5_000);
  assertEquals(path.look(), ["programs at eth1"]);
  assertEquals(
    world.bpf.attachedPrograms(eth1.index, "ingress").map(({ name }) => name),
    [`loden_rx_${STRANGER.suffix}`],
  );
  assertEquals(path.look(), []);
});

Deno.test("the path MTU is on the peer's route: from the route or the device, and only as long as it applies", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  const route = {
    destination: network("192.0.2.3/32"),
    interfaceIndex: world.eth0.index,
    mtuBytes: 1_300,
  };
  world.rtnetlink.replaceRoute(route);
  path.mend();
  assertEquals(world.overlayRoutes(), [
    "10.1.2.0/24",
    "10.1.3.0/24 mtu 1272",
  ]);
  world.rtnetlink.changeLink(world.eth0.index, { mtuBytes: 1_400 });
  path.mend();
  assertEquals(world.overlayRoutes(), [
    "10.1.2.0/24 mtu 1372",
    "10.1.3.0/24 mtu 1272",
  ]);
  world.rtnetlink.changeLink(world.eth0.index, { mtuBytes: 9_000 });
  world.rtnetlink.removeRoute(route);
  path.mend();
  assertEquals(world.overlayRoutes(), ["10.1.2.0/24", "10.1.3.0/24"]);
});

Deno.test("a path with a tiny MTU gets the minimum of IPv4", async () => {
  const world = new EbpfWorld();
  const path = await running(world, [A]);
  world.rtnetlink.changeLink(world.eth0.index, { mtuBytes: 68 });
  path.mend();
  assertEquals(world.overlayRoutes(), ["10.1.2.0/24 mtu 68"]);
});

Deno.test("a router's path MTU for a peer is applied once, and one for another host is not", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  assertEquals(path.onPathMtu(A.publicIp, 8285), false);
  world.rtnetlink.replaceRoute({
    destination: network("192.0.2.2/32"),
    interfaceIndex: world.eth0.index,
    mtuBytes: 1_280,
  });
  await world.clock.advance(1_000);
  assertEquals(path.onPathMtu(address("192.0.2.99"), 8285), false);
  assertEquals(world.overlayRoutes(), ["10.1.2.0/24", "10.1.3.0/24"]);
  assertEquals(path.onPathMtu(A.publicIp, 8285), true);
  assertEquals(path.onPathMtu(A.publicIp, 8285), false);
  assertEquals(world.overlayRoutes(), [
    "10.1.2.0/24 mtu 1252",
    "10.1.3.0/24",
  ]);
});

Deno.test("a device without Ethernet is refused by name, and nothing is left", () => {
  const world = new EbpfWorld();
  const wg = world.rtnetlink.addLink({
    name: "wg0",
    up: true,
    kind: "wireguard",
    mac: new Uint8Array(),
  });
  world.ethtool.plugIn("wg0", "");
  const { underlay } = world.options;
  const error = assertThrows(
    () =>
      world.start({
        underlay: {
          ...underlay,
          interfaceName: "wg0",
          interfaceIndex: wg.index,
        },
      }),
    NoEthernetError,
  );
  assert(error.message.includes("wg0"));
  assertLeavesNothing(world);
});

function assertLeavesNothing(world: EbpfWorld): void {
  assertEquals(
    world.rtnetlink.links().filter(({ alias }) => alias === ALIAS),
    [],
  );
  assertEquals(
    world.rtnetlink.routes().filter(({ destination }) =>
      formatCidr(destination).startsWith("10.1.")
    ),
    [],
  );
  assertEquals(world.attached(), []);
}

/**
 * Each call by which a start may be refused, after some that went well, and
 * whether the start of an agent that comes later makes it, too.
 */
const REFUSALS: readonly [
  method: keyof Bpf & string,
  calls: number,
  later: boolean,
][] = [
  ["createMap", 0, false],
  ["createMap", 3, false],
  ["createMap", 4, false],
  ["loadProgram", 0, true],
  ["loadProgram", 1, true],
  ["loadProgram", 2, true],
  ["loadProgram", 3, false],
  ["loadProgram", 4, false],
  ["testRun", 0, false],
  ["testRun", 1, false],
  ["attachedPrograms", 0, true],
  ["attach", 0, true],
  ["attach", 1, true],
  ["attach", 2, true],
];
for (const [method, calls, later] of REFUSALS) {
  const which = `${method} is refused after ${calls} times`;
  const refuse = (world: EbpfWorld) => {
    const original = world.bpf[method] as (...args: unknown[]) => unknown;
    let left = calls;
    Object.defineProperty(world.bpf, method, {
      configurable: true,
      value: (...args: unknown[]) => {
        if (left-- > 0) return original.apply(world.bpf, args);
        throw new BpfError(method, ERRNO.EPERM);
      },
    });
  };

  Deno.test(`a start of which ${which} leaves no device, route, program or map`, () => {
    const world = new EbpfWorld();
    refuse(world);
    assertThrows(() => world.start(), BpfError, "EPERM");
    Reflect.deleteProperty(world.bpf, method);
    assertLeavesNothing(world);
    assertEquals([world.bpf.programs.length, world.bpf.maps.length], [0, 0]);
  });

  if (!later) continue;
  Deno.test(`a second start of which ${which} leaves what runs as it is, or better`, async () => {
    const world = new EbpfWorld();
    await running(world);
    const before = world.peersInUse();
    refuse(world);
    assertThrows(() => world.start(), BpfError, "EPERM");
    Reflect.deleteProperty(world.bpf, method);
    assertEquals(world.attached(), ALL);
    assertEquals(world.peersInUse(), before);
    assertEquals(world.overlayRoutes(), ["10.1.2.0/24", "10.1.3.0/24"]);
  });
}

Deno.test("what others run and have stays when a start fails", () => {
  const world = new EbpfWorld();
  const foreign = idleProgram(world.bpf, `loden_rx_${STRANGER.suffix}`);
  world.bpf.attach(world.eth0.index, "ingress", foreign);
  world.rtnetlink.addLink({ name: "flannel0", alias: STRANGER.alias });
  world.bpf.failWith("loadProgram", new BpfError("load", ERRNO.EPERM));
  assertThrows(() => world.start(), BpfError);
  assertEquals(world.attached(), [`eth0 ingress ${foreign.name} tcx`]);
  assert(world.link("flannel0").alias === STRANGER.alias);
});

Deno.test("programs are assembled again when an underlay begins to pass super-packets whole, and the former are freed", async () => {
  const world = new EbpfWorld();
  world.ethtool.plugIn("eth0", "virtio_net", {
    "tx-udp_tnl-segmentation": {
      active: false,
      requested: false,
      changeable: true,
    },
  });
  const path = await running(world);
  const before = idsOf(world);
  const count = world.bpf.programs.length;
  world.ethtool.setFeatures("eth0", { "tx-udp_tnl-segmentation": true });
  world.bpf.failWith("detach", new Error("detached"));
  path.mend();
  for (const [name, id] of Object.entries(idsOf(world))) {
    assert(id !== before[name], name);
  }
  assertEquals(world.bpf.programs.length, count);
});

Deno.test("a host whose card is a veth of single packets strips them in the driver", () => {
  const world = new EbpfWorld();
  const one = world.addUnderlay("one", "198.51.100.1/24", "veth");
  world.ethtool.setFeatures("one", { "tx-tcp-segmentation": false });
  const { underlay } = world.options;
  const path = world.start({
    underlay: { ...underlay, interfaceName: "one", interfaceIndex: one.index },
  });
  assert(world.attached().includes(`one xdp ${XDP}`));
  assertEquals(path.details(), {
    "receive on one": "xdp by tcx: a veth that receives packets one by one",
    "source port": "49152-65535: one per flow",
  });
});

Deno.test("counters are those of the programs, over all agents", async () => {
  const world = new EbpfWorld();
  const path = await running(world);
  const { id } = world.bpf.maps.find(({ spec }) =>
    spec.name === MAPS.loden_counters.name
  )!;
  using map = world.bpf.openMap(id)!;
  const value = map.lookup(new Uint8Array(4))!;
  value[0] = 5;
  map.update(new Uint8Array(4), value);
  assertEquals(path.counters()["tx.packets"], 5);
  assertEquals(world.start().counters()["tx.packets"], 5);
});

Deno.test("the loopback is never an underlay of programs", async () => {
  const world = new EbpfWorld();
  world.rtnetlink.addAddress(world.eth0.index, "192.0.2.50/24");
  await running(world, [A, peer("10.1.4.0/24", "192.0.2.50")]);
  assertEquals(world.attached(), ALL);
});
