import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
  equal,
} from "@std/assert";
import {
  BackendFailedError,
  BackendStartError,
} from "../../../../../backend/errors.ts";
import { KernelPathUnavailableError } from "../../../../../backend/udp/ebpf/errors.ts";
import {
  type EbpfParts,
  startEbpf,
} from "../../../../../backend/udp/ebpf/start_ebpf.ts";
import type { UdpDataPathOptions } from "../../../../../backend/udp/data_path.ts";
import { BpfError } from "../../../../../linux/bpf/errors.ts";
import {
  type Instruction,
  jumpIf,
  mov,
  R1,
  R4,
} from "../../../../../linux/bpf/instructions.ts";
import { ERRNO, SystemCallError } from "../../../../../linux/errno.ts";
import { NetlinkError } from "../../../../../linux/netlink/errors.ts";
import { FakeDescriptorWatch } from "../../../../fakes/fake_descriptor_watch.ts";
import { FakePacketPort } from "../../../../fakes/fake_packet_port.ts";
import { FakePacketSteering } from "../../../../fakes/fake_packet_steering.ts";
import { FakeRtnetlinkMonitor } from "../../../../fakes/fake_rtnetlink_monitor.ts";
import { FakeUnderlaySocket } from "../../../../fakes/fake_underlay_socket.ts";
import { CapturedLogs } from "../../../../support/capture_logs.ts";
import {
  ALIAS,
  EbpfWorld,
  passPacket,
} from "../../../../support/ebpf_world.ts";
import { added, network, peer } from "../../../../support/kernel_world.ts";

const UDP_PROTOCOL = 17;

/** Puts a name to what is opened and closed. */
function opened<Thing extends object>(
  names: Set<string>,
  name: string,
  thing: Thing,
): Thing & Disposable {
  names.add(name);
  return Object.assign(thing, {
    [Symbol.dispose]: () => void names.delete(name),
  });
}

/** All that a start stands on. */
class World extends EbpfWorld {
  /** What the process holds. */
  readonly open = new Set<string>();
  readonly socket = new FakeUnderlaySocket();
  readonly watch = new FakeDescriptorWatch(1);
  readonly monitor = new FakeRtnetlinkMonitor();
  readonly steering = new FakePacketSteering();
  /** Those that are not named are there. */
  readonly modules = new Map<string, boolean | undefined>();

  all(overrides: Partial<EbpfParts> = {}): EbpfParts {
    const { rtnetlink, ethtool, clock, bootTimeNs } = this.parts;
    return {
      rtnetlink,
      ethtool,
      steering: this.steering,
      clock,
      bootTimeNs,
      openBpf: () => opened(this.open, "bpf", this.bpf),
      openSocket: () => opened(this.open, "socket", this.socket),
      openPacketPort: () =>
        opened(this.open, "packet port", new FakePacketPort()),
      openMonitor: () => opened(this.open, "monitor", this.monitor),
      watch: () => this.watch,
      hasModule: (name) =>
        this.modules.has(name) ? this.modules.get(name) : true,
      ...overrides,
    };
  }

  started(options: Partial<UdpDataPathOptions> = {}) {
    return startEbpf(this.all(), { ...this.options, ...options });
  }

  hasNothing(): boolean {
    return !this.rtnetlink.links().some(({ alias }) => alias === ALIAS) &&
      this.attached().length === 0 && this.bpf.maps.length === 0 &&
      this.bpf.programs.length === 0;
  }
}

/** What a kernel can lack, and how the message names it. */
const LACKING: readonly [string, (world: World) => void, RegExp][] = [
  [
    "no bpf system call",
    ({ bpf }) => {
      const error = new BpfError("create the map", ERRNO.ENOSYS);
      bpf.failWith("createMap", error);
      bpf.failWith("loadProgram", error);
    },
    /needs bpf \(since Linux 4\.1\): .*ENOSYS/,
  ],
  [
    "no tries",
    ({ bpf }) => bpf.refuse("lpmTrie"),
    /needs maps \(since Linux 4\.11\)/,
  ],
  [
    "no tc programs",
    ({ bpf }) => bpf.refuse("schedCls"),
    /needs tc programs/,
  ],
  ...([
    ["fib_lookup", "4.18"],
    ["jiffies64", "5.6"],
    ["ktime_get_boot_ns", "5.8"],
    ["csum_level", "5.8"],
    ["redirect_neigh", "5.10"],
  ] as const).map(([helper, since]): (typeof LACKING)[number] => [
    `no ${helper}`,
    ({ bpf }) => bpf.refuse(helper),
    new RegExp(`needs bpf_${helper} \\(since Linux ${since}\\)`),
  ]),
  [
    "packets limited to the MTU",
    ({ bpf }) =>
      bpf.answerTestRuns((program, run) =>
        program.spec.name === "loden_room"
          ? { returnValue: -524, data: run.data.slice(), durationNs: 1 }
          : passPacket(program, run)
      ),
    /needs bpf_skb_adjust_room beyond the MTU \(since Linux 5\.12\): .*-524/,
  ],
  [
    "no veth",
    (world) => {
      world.modules.set("veth", false);
      world.rtnetlink.createVethPair = () => {
        throw new NetlinkError("create a veth pair", ERRNO.EOPNOTSUPP);
      };
    },
    /needs veth .*no module veth/,
  ],
  [
    "no veth, and modules that cannot be seen",
    (world) => {
      world.modules.set("veth", undefined);
      world.rtnetlink.createVethPair = () => {
        throw new NetlinkError("create a veth pair", ERRNO.EOPNOTSUPP);
      };
    },
    /create the device flannel0: .*must have the module veth/,
  ],
  [
    "neither tcx nor cls_bpf",
    (world) => {
      world.bpf.tcx = false;
      world.modules.set("cls_bpf", false);
      world.bpf.failWith("attach", new NetlinkError("attach", ERRNO.ENOENT));
    },
    /needs a hook for tc programs .*no module cls_bpf/,
  ],
];
for (const [what, remove, message] of LACKING) {
  Deno.test(`on a kernel with ${what} the data path says so, and nothing is left`, () => {
    const world = new World();
    remove(world);
    const error = assertThrows(
      () => world.started(),
      KernelPathUnavailableError,
    );
    assertMatch(error.message, message);
    assertEquals([world.open.size, world.hasNothing()], [0, true]);
  });
}

Deno.test("a kernel without XDP costs the mode xdp alone", async () => {
  const world = new World();
  world.bpf.refuse("xdp_adjust_meta");
  const path = world.started({ receive: "xdp" });
  await path.changePeers(added(peer("10.1.2.0/24", "192.0.2.2")));
  assertMatch(
    path.details()["receive on eth0"]!,
    /^gro by tcx: native XDP was refused/,
  );
  await path.stop();
});

Deno.test("a kernel that refuses to record drops costs the records alone", async () => {
  for (const what of ["ringBuffer", "ringbuf_reserve"] as const) {
    const world = new World();
    world.bpf.refuse(what);
    const path = world.started();
    assertEquals(path.drops, undefined);
    assertEquals(world.attached().length, 3);
    await path.stop();
  }
});

Deno.test("a kernel without tcx uses clsact, whose module is there or cannot be seen", async () => {
  for (const isThere of [true, undefined]) {
    const world = new World();
    world.bpf.tcx = false;
    world.modules.set("cls_bpf", isThere);
    await world.started().stop();
    assert(world.attached().every((each) => each.endsWith("clsact")));
  }
});

Deno.test("a port in use is an error of any data path, found before a device is touched", () => {
  const world = new World();
  const busy = () => {
    throw new SystemCallError("listen", ERRNO.EADDRINUSE);
  };
  assertThrows(
    () => startEbpf(world.all({ openSocket: busy }), world.options),
    BackendStartError,
    "EADDRINUSE",
  );
  assertEquals([world.open.size, world.hasNothing()], [0, true]);
});

const REFUSED: readonly [string, (world: World) => Partial<EbpfParts>][] = [
  ["no programs may be loaded", ({ bpf }) => {
    bpf.failWith("loadProgram", new BpfError("load", ERRNO.EPERM));
    return {};
  }],
  ["there is no memory for maps", ({ bpf }) => {
    bpf.failWith("createMap", new BpfError("make a map", ERRNO.ENOSPC));
    return {};
  }],
  ["nothing can be attached", ({ bpf }) => {
    bpf.failWith("attach", new BpfError("attach", ERRNO.EINVAL));
    return {};
  }],
  ["test packets get lost", ({ bpf }) => {
    bpf.answerTestRuns((_, { data }) => ({
      returnValue: 2,
      data: data.slice(),
      durationNs: 1,
    }));
    return {};
  }],
  ["there is no bpf system call", () => ({
    openBpf: () => {
      throw new SystemCallError("open a socket", ERRNO.EAFNOSUPPORT);
    },
  })],
  ["there are no packet sockets", () => ({
    openPacketPort: () => {
      throw new SystemCallError("create a packet socket", ERRNO.EPERM);
    },
  })],
  ["changes cannot be followed", () => ({
    openMonitor: () => {
      throw new SystemCallError("open a socket", ERRNO.EMFILE);
    },
  })],
];
for (const [what, refuse] of REFUSED) {
  Deno.test(`where ${what}, another data path may do, and nothing is left`, () => {
    const world = new World();
    const parts = world.all(refuse(world));
    assertThrows(
      () => startEbpf(parts, world.options),
      KernelPathUnavailableError,
    );
    assertEquals([...world.open], []);
    assert(world.hasNothing());
  });
}

Deno.test("a name that is in use is an error of any data path", () => {
  const world = new World();
  world.rtnetlink.addLink({ name: "flannel0" });
  assertThrows(
    () => world.started({ device: "flannel0" }),
    BackendStartError,
    "flannel0",
  );
  assertEquals(world.open.size, 0);
});

Deno.test("--disable-feature=tcx attaches by clsact", async () => {
  for (const tcx of [true, false]) {
    const world = new World();
    const asked: boolean[] = [];
    const parts = world.all({
      openBpf: (options) => {
        asked.push(options.tcx);
        return world.bpf;
      },
    });
    const disabledFeatures = tcx ? [] : ["tcx"];
    await startEbpf(parts, { ...world.options, disabledFeatures }).stop();
    assertEquals(asked, [tcx]);
  }
});

Deno.test("--disable-feature=flow-spreading leaves the device's processors alone", async () => {
  for (const spreads of [true, false]) {
    const world = new World();
    const disabledFeatures = spreads ? [] : ["flow-spreading"];
    const first = world.started({ disabledFeatures });
    const device = world.rtnetlink.links()
      .find(({ name }) => name === first.deviceName)!;
    await first.stop();
    // As an agent leaves them that ended while much moved.
    world.steering.plugIn(device, world.steering.allCpus);
    const path = world.started({ disabledFeatures });
    assertEquals(
      path.details()["flows on"],
      spreads ? "all processors" : undefined,
    );
    for (let look = 0; look < 3; look++) await world.clock.advance(500);
    assertEquals(world.steering.settings, spreads ? [0n] : []);
    await path.stop();
  }
});

Deno.test("decap-udp is used if the kernel has it and it is not disabled, and the log says so", async () => {
  for (
    const [has, disabledFeatures, used] of [
      [true, [], true],
      [true, ["decap-udp"], false],
      [false, [], false],
    ] as const
  ) {
    const world = new World();
    world.bpf.answerTestRuns((program, run) =>
      program.spec.name === "loden_decap_udp"
        ? { returnValue: has ? 0 : -22, data: run.data.slice(), durationNs: 1 }
        : passPacket(program, run)
    );
    // Super-packets cross such a device whole.
    const veth = world.addUnderlay("veth0", "198.51.100.1/24", "veth");
    world.ethtool.plugIn("veth0", "veth", {
      "tx-udp_tnl-segmentation": {
        active: true,
        requested: true,
        changeable: true,
      },
    });
    using logs = new CapturedLogs();
    await world.started({
      disabledFeatures,
      underlay: {
        ...world.options.underlay,
        interfaceName: "veth0",
        interfaceIndex: veth.index,
      },
    }).stop();
    const [event] = logs.events("backend.started");
    assertEquals(event!.decapUdp, used);
    const instructions = world.bpf.programs
      .flatMap(({ spec }) => spec.build());
    const holds = (one: Instruction) =>
      instructions.some((each) => equal(each, one));
    assertEquals(holds(mov(R4, 1 | 1 << 10)), used);
    assertEquals(holds(jumpIf(R1, "==", UDP_PROTOCOL, "cut")), !used);
  }
});

Deno.test("a stop closes what the process holds, and leaves what runs", async () => {
  const world = new World();
  const path = world.started();
  await path.changePeers(added(peer("10.1.2.0/24", "192.0.2.2")));
  const before = world.attached();
  assertEquals(before.length, 3);
  assertEquals(world.open.size, 4);
  await path.stop();
  await path.failed;
  assertEquals([...world.open], []);
  assertEquals(world.attached(), before);
  assertEquals(world.overlayRoutes(), ["10.1.2.0/24"]);
});

Deno.test("the start is logged with the device, the address and the port", async () => {
  using logs = new CapturedLogs();
  const world = new World();
  await world.started().stop();
  const [event, ...others] = logs.events("backend.started");
  assertEquals(others, []);
  assertEquals(event, {
    event: "backend.started",
    dataPath: "ebpf",
    device: "flannel0",
    mtuBytes: 1_472,
    address: "192.0.2.1",
    port: 8285,
    decapUdp: false,
    loadMs: 0,
  });
});

Deno.test("a change of the network causes a check at once, and without one there is a check every five seconds", async () => {
  using logs = new CapturedLogs();
  const world = new World();
  const path = world.started();
  await path.changePeers(added(peer("10.1.2.0/24", "192.0.2.2")));
  const routeAway = () => {
    const route = world.rtnetlink.routes().find(({ destination }) =>
      destination.address === network("10.1.2.0/24").address
    )!;
    world.rtnetlink.removeRoute({
      destination: route.destination,
      metric: route.metric,
    });
  };
  routeAway();
  world.monitor.tell("routes");
  await world.clock.settle();
  assertEquals(world.overlayRoutes(), ["10.1.2.0/24"]);
  assertEquals(
    logs.events("backend.device-mended").map(({ mended }) => mended),
    [
      ["routes"],
    ],
  );
  const { index } = world.link("flannel0");
  const [attached] = world.bpf.attachedPrograms(index, "egress");
  world.bpf.detach(index, "egress", attached!);
  await world.clock.advance(5_000);
  assertEquals(world.attached().length, 3);
  await path.stop();
});

Deno.test("many changes at once are one look, and the next one rests", async () => {
  const world = new World();
  const path = world.started();
  let looks = 0;
  const links = world.rtnetlink.links.bind(world.rtnetlink);
  world.rtnetlink.links = () => {
    looks++;
    return links();
  };
  world.monitor.tell("links");
  world.monitor.tell("routes", "addresses");
  await world.clock.settle();
  const once = looks;
  assert(once > 0);
  world.monitor.tell("routes");
  await world.clock.settle();
  assertEquals(looks, once);
  await world.clock.advance(99);
  assertEquals(looks, once);
  await world.clock.advance(1);
  assertEquals(looks, 2 * once);
  await path.stop();
});

Deno.test("if changes can no longer be followed, that is logged, and checks continue", async () => {
  using logs = new CapturedLogs();
  const world = new World();
  world.monitor.changes = () => {
    throw new SystemCallError("read changes", ERRNO.ENOBUFS);
  };
  const path = world.started();
  await path.changePeers(added(peer("10.1.2.0/24", "192.0.2.2")));
  await world.clock.settle();
  assertEquals(logs.events("backend.monitor-failed").length, 1);
  const { index } = world.link("flannel0");
  world.rtnetlink.changeLink(index, { up: false });
  await world.clock.advance(5_000);
  assert(world.link("flannel0").up);
  const [route] = world.rtnetlink.routes().filter(({ interfaceIndex }) =>
    interfaceIndex === index
  );
  world.rtnetlink.removeRoute({
    destination: route!.destination,
    metric: route!.metric,
  });
  assertEquals(world.overlayRoutes(), []);
  await world.clock.advance(5_000);
  assertEquals(world.overlayRoutes(), ["10.1.2.0/24"]);
  await path.stop();
});

Deno.test("counters are those of the programs and those of the slow path", async () => {
  const world = new World();
  const path = world.started();
  world.socket.dropped = 2;
  const counters = path.counters();
  assertEquals(
    [counters["tx.packets"], counters["rx.slow.drop.socketFull"]],
    [0, 2],
  );
  await path.stop();
});

Deno.test("a part that breaks off fails the data path, and a stop closes all the same", async () => {
  const world = new World();
  const { clock } = world.parts;
  const sleep = () => Promise.reject(new Error("no timers"));
  const running = startEbpf(
    world.all({ clock: { ...clock, monotonic: () => 0, sleep } }),
    world.options,
  );
  const error = await assertRejects(
    () => running.failed,
    BackendFailedError,
    "no timers",
  );
  assert(error.cause instanceof Error);
  await running.stop();
  assertEquals([...world.open], []);
});
