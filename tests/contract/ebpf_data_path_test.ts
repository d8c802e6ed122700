/**
 * The kernel data path on the real kernel: its start, its successors, and what
 * others do to the host around it.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { KernelPathUnavailableError } from "../../backend/udp/ebpf/errors.ts";
import { MAPS, type Maps } from "../../backend/udp/ebpf/maps.ts";
import { ownershipOf } from "../../backend/udp/ebpf/ownership.ts";
import {
  programName,
  xdpProgram,
} from "../../backend/udp/ebpf/programs/programs.ts";
import type { Bpf, BpfMap } from "../../linux/bpf/bpf.ts";
import { BpfError } from "../../linux/bpf/errors.ts";
import {
  atomicAdd,
  call,
  exit,
  type Instruction,
  loadMap,
  loadMapValue,
  mov,
  R0,
  R1,
  R2,
} from "../../linux/bpf/instructions.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";
import { ERRNO } from "../../linux/errno.ts";
import { NetlinkError } from "../../linux/netlink/errors.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import type { Peer } from "../../net/peer.ts";
import { CapturedLogs } from "../support/capture_logs.ts";
import {
  eventually,
  FIRST,
  ip,
  type KernelPathHost,
  openBpfDescriptors,
  OWN_ADDRESS,
  peerOf,
  PEERS,
  PREFIX_ALIAS,
  REMOTE,
  SECOND,
  testOnHost as test,
} from "../support/kernel_path_host.ts";
import { address, network, OWN_SUBNET } from "../support/kernel_world.ts";
import { fragmentationNeeded } from "../support/outer_packet.ts";
import { PROGRAM_HOST } from "../support/program_world.ts";
import { setKernel } from "../rig/kernel_settings.ts";
import { testInNamespace } from "./in_namespace.ts";

const ALL = [
  "eth0 ingress loden_rx tcx",
  "flannel0 egress loden_tx tcx",
  "flannel0p ingress loden_hop tcx",
];
const PEER_ROUTES = [
  "10.1.2.0/24 via 10.1.2.0 dev flannel0",
  "10.1.3.0/24 via 10.1.3.0 dev flannel0",
];
const UNREACHABLE = "unreachable 10.1.0.0/16";
const ROUTES = [...PEER_ROUTES, UNREACHABLE];
const { suffix } = ownershipOf(PREFIX_ALIAS);
/** In frames that earlier versions have stripped; no device's. */
const NOWHERE_MAC = Uint8Array.of(0x02, 0x4c, 0x6f, 0x64, 0x65, 0x6e);

/** An agent in a process of its own, until it is killed. */
async function agent(options: object = {}) {
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-all",
      "--no-check",
      "--cached-only",
      `--config=${fromFileUrl(new URL("../../deno.json", import.meta.url))}`,
      fromFileUrl(new URL("programs/kernel_path_agent.ts", import.meta.url)),
      JSON.stringify(options),
    ],
    stdout: "piped",
  }).spawn();
  const reader = process.stdout.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  assertEquals(new TextDecoder().decode(value).trim(), "ready");
  return {
    async kill() {
      process.kill("SIGKILL");
      await process.status;
    },
  };
}

/** Packets to a container while something happens. */
function steadyPackets(count: number) {
  const process = new Deno.Command("ping", {
    args: ["-q", "-i", "0.005", "-c", String(count), "-W", "0.1", "10.1.2.7"],
    stdout: "null",
    stderr: "null",
  }).spawn();
  return { ended: process.status };
}

/**
 * Counts in the only entry of its map, knows peers, and sends away. A sender would
 * be told of a drop, and send again.
 */
function countAndSend(sinkIndex: number): Instruction[] {
  return [
    loadMapValue(R1, "loden_count", 0),
    mov(R2, 1),
    atomicAdd("u64", R1, 0, R2),
    loadMap(R1, "loden_peers"),
    mov(R1, sinkIndex),
    mov(R2, 0),
    call("redirect"),
    exit(),
  ];
}

/**
 * Puts programs of another version into the places of ours: they count what
 * passes, and their peers have longer keys. The counters, packets out first.
 */
function installOtherVersion(host: KernelPathHost): {
  readonly out: () => number;
  readonly ids: readonly number[];
  [Symbol.dispose](): void;
} {
  const { bpf } = host;
  ip("link add sink type veth peer name sinkw");
  ip("link set sink up");
  ip("link set sinkw up");
  const sinkIndex = host.link("sink").index;
  const opened = new DisposableStack();
  const peers = opened.use(
    bpf.createMap({ ...MAPS.loden_peers, keyBytes: 12 }),
  );
  const counters: BpfMap[] = [];
  const ids: number[] = [];
  for (
    const [device, direction, role] of [
      ["flannel0", "egress", "egress"],
      ["flannel0p", "ingress", "hop"],
      ["eth0", "ingress", "ingress"],
    ] as const
  ) {
    const counter = opened.use(bpf.createMap({
      name: "loden_count",
      type: "array",
      keyBytes: 4,
      valueBytes: 8,
      maxEntries: 1,
    }));
    counters.push(counter);
    using program = bpf.loadProgram({
      name: programName(role, suffix),
      type: "schedCls",
      maps: { loden_peers: peers, loden_count: counter },
      build: () => countAndSend(sinkIndex),
    });
    const { index } = host.link(device);
    const [replace] = bpf.attachedPrograms(index, direction);
    bpf.attach(index, direction, program, { replace });
    ids.push(program.id);
  }
  const out = () => {
    const value = counters[0]!.lookup(new Uint8Array(4))!;
    return Number(new DataView(value.buffer).getBigUint64(0, true));
  };
  return { out, ids, [Symbol.dispose]: () => opened.dispose() };
}

/** The kernel's eBPF, with some of its calls refused. */
function refusing(
  method: "createMap" | "loadProgram" | "attach",
  errno: number,
  calls = 0,
): { openBpf: () => Bpf } {
  return {
    openBpf: () => {
      const bpf = new KernelBpf();
      const original = bpf[method].bind(bpf) as (...args: unknown[]) => unknown;
      let left = calls;
      Object.defineProperty(bpf, method, {
        value: (...args: unknown[]) => {
          if (left-- > 0) return original(...args);
          throw new BpfError(`call ${method}`, errno);
        },
      });
      return bpf;
    },
  };
}

const PACKETS = 300;
const signal = new AbortController().signal;
const changed = (peers: readonly Peer[]) => ({
  added: [],
  changed: peers,
  removed: [],
});

testInNamespace("The kernel data path on the kernel", import.meta.url, () => {
  setKernel({ "net/ipv6/conf/default/disable_ipv6": "1" });

  test("a started data path has its devices, routes and programs, and packets flow both ways", async (host) => {
    const backend = await host.start();
    assertEquals(host.attached(), ALL);
    assertEquals(host.routes(), ROUTES);
    await host.proveThatPacketsFlow();
    const { dataPath, outlivesAgent, counters } = backend.status();
    assertEquals([dataPath, outlivesAgent], ["ebpf", true]);
    assertEquals([counters["tx.packets"], counters["rx.packets"]], [1, 1]);
  });

  test("packets from a host that does not hold the source are not accepted", async (host) => {
    const backend = await host.start();
    assert(!await host.takesIn("10.1.2.7", "192.0.2.3"));
    assert(!await host.takesIn("10.1.2.7", "192.0.2.9"));
    const { counters } = backend.status();
    assertEquals(
      [counters["rx.drop.wrongSource"], counters["rx.drop.unknownSender"]],
      [1, 1],
    );
  });

  test("by clsact, packets flow as by tcx, and the next agent changes over without a moment of both or none", async (host) => {
    const byClsact = ALL.map((text) => text.replace("tcx", "clsact"));
    const first = await host.start({ disabledFeatures: ["tcx"] });
    assertEquals(host.attached(), byClsact);
    await host.proveThatPacketsFlow();
    await host.stop(first);
    const second = await host.start();
    assertEquals(host.attached(), ALL);
    await host.proveThatPacketsFlow();
    await host.stop(second);
    await host.start({ disabledFeatures: ["tcx"] });
    assertEquals(host.attached(), byClsact);
    await host.proveThatPacketsFlow();
  });

  test("an underlay whose packets come one by one is stripped in the driver, and packets flow", async (host) => {
    host.ethtool.setFeatures("eth0", {
      "rx-gro": true,
      "tx-tcp-segmentation": false,
    });
    const backend = await host.start();
    assert(host.attached().includes("eth0 xdp loden_xdp"));
    await host.proveThatPacketsFlow();
    assertEquals(
      Object.values(backend.status().details!)[0]?.startsWith("xdp"),
      true,
    );
  });

  test("frames that the driver's program of an earlier version has stripped for no device are accepted", async (host) => {
    await host.start({ receive: "xdp" });
    const { bpf } = host;
    const underlay = host.link("eth0");
    const [device, hop] = [host.link("flannel0"), host.link("flannel0p")];
    const { id: replaceId } = bpf.xdp(underlay.index)!;
    using opened = new DisposableStack();
    const maps = opened.use(bpf.openProgram(replaceId)!).mapIds
      .map((id) => opened.use(bpf.openMap(id)!));
    const named = Object.entries(MAPS).flatMap(([key, { name }]) => {
      const map = maps.find((each) => each.name === name);
      return map === undefined ? [] : [[key, map]];
    });
    const earlier = opened.use(bpf.loadProgram(xdpProgram(
      {
        ...PROGRAM_HOST,
        mark: ownershipOf(PREFIX_ALIAS).mark,
        subnet: network(OWN_SUBNET),
        underlayAddress: address(OWN_ADDRESS),
        device: { interfaceIndex: device.index, mac: NOWHERE_MAC },
        hop: { interfaceIndex: hop.index, mac: hop.mac },
      },
      underlay.mac,
      Object.fromEntries(named) as Maps,
    )));
    bpf.setXdp(underlay.index, earlier, { replaceId });
    await host.proveThatPacketsFlow();
  });

  test("after a kill packets flow on, and the next agent takes over devices, maps and counters", async (host) => {
    const first = await agent();
    await host.proveThatPacketsFlow();
    await first.kill();
    await host.proveThatPacketsFlow();
    const before = host.ids();
    const links = host.rtnetlink.links().map(({ index }) => index);
    const backend = host.backend();
    await backend.start(host.context(), signal);
    // Not yet told of any peer.
    await host.proveThatPacketsFlow();
    await backend.apply({ added: PEERS, changed: [], removed: [] });
    await host.proveThatPacketsFlow();
    assertEquals(host.rtnetlink.links().map(({ index }) => index), links);
    assertEquals(host.attached(), ALL);
    assert(!host.ids().some((id) => before.includes(id)));
    assertEquals(backend.status().counters["tx.packets"], 4);
    assertEquals(host.routes(), ROUTES);
  });

  test("no packet is lost while one agent is killed and another takes over", async (host) => {
    const first = await agent();
    const packets = steadyPackets(PACKETS);
    await first.kill();
    const second = await host.start();
    await packets.ended;
    const { counters } = second.status();
    assertEquals(counters["tx.packets"], PACKETS);
    assertEquals(host.routes(), ROUTES);
  });

  test("programs with maps of another kind go on until the first peers, and every packet meets either them or ours", async (host) => {
    await host.stop(await host.start());
    using other = installOtherVersion(host);
    const packets = steadyPackets(PACKETS);
    const backend = host.backend();
    await backend.start(host.context(), signal);
    assertEquals(host.ids().toSorted(), other.ids.toSorted());
    await host.clock.advance(5_000);
    assertEquals(host.ids().toSorted(), other.ids.toSorted());
    await eventually("packets at the former program", () => other.out() > 20);
    await backend.apply({ added: PEERS, changed: [], removed: [] });
    assertEquals(host.attached(), ALL);
    assert(!host.ids().some((id) => other.ids.includes(id)));
    await packets.ended;
    const { counters } = backend.status();
    assertEquals(counters["tx.packets"]! + other.out(), PACKETS);
    assertEquals(counters["tx.drop.noPeer"], 0);
    await host.proveThatPacketsFlow();
  });

  test("no packet is lost while a subnet moves to and fro under traffic", async (host) => {
    const backend = await host.start();
    const packets = steadyPackets(PACKETS);
    const done = { value: false };
    packets.ended.then(() => done.value = true);
    let moves = 0;
    while (!done.value) {
      const holder = moves++ % 2 === 0 ? "192.0.2.3" : "192.0.2.2";
      await backend.apply(changed([peerOf("10.1.2.0/24", holder, "ebpf")]));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert(moves > 2);
    const { counters } = backend.status();
    assertEquals(
      [counters["tx.packets"], counters["tx.drop.noPeer"]],
      [PACKETS, 0],
    );
  });

  test("a subnet that moves is sent to its new holder and accepted from no other host", async (host) => {
    const backend = await host.start();
    await backend.apply(changed([peerOf("10.1.2.0/24", "192.0.2.3", "ebpf")]));
    assertEquals((await host.sendOut()).destination, "192.0.2.3");
    assert(await host.takesIn("10.1.2.7", "192.0.2.3"));
    assert(!await host.takesIn("10.1.2.7", "192.0.2.2"));
  });

  test("a peer that goes is answered with unreachable, and not believed any more", async (host) => {
    const backend = await host.start();
    await backend.apply({ added: [], changed: [], removed: [PEERS[0]!] });
    assertEquals(host.routes(), [PEER_ROUTES[1], UNREACHABLE]);
    const error = await assertRejects(() => host.sendOut());
    assert(String(error).includes("EHOSTUNREACH"), String(error));
    assert(!await host.takesIn());
  });

  test("a deleted device comes back with its routes and programs, and the loss is reported", async (host) => {
    using logs = new CapturedLogs();
    const backend = await host.start();
    await host.proveThatPacketsFlow();
    ip("link delete flannel0");
    await host.clock.advance(5_000);
    assertEquals(host.attached(), ALL);
    assertEquals(host.routes(), ROUTES);
    await host.proveThatPacketsFlow();
    const mended = logs.events("backend.device-mended").flatMap(({ mended }) =>
      mended as string[]
    );
    assert(mended.includes("device"), mended.join());
    assertEquals(backend.status().device, "flannel0");
  });

  /** What another program does to the overlay device. */
  const CHANGES: readonly [string, readonly string[]][] = [
    ["set down", ["link set flannel0 down"]],
    ["set down and up", ["link set flannel0 down", "link set flannel0 up"]],
    ["robbed of its other end's state", ["link set flannel0p down"]],
    ["given another MTU", ["link set flannel0 mtu 1300"]],
    ["robbed of its address", ["address flush dev flannel0"]],
    ["given another hardware address", [
      "link set flannel0 address 02:00:5e:00:53:01",
    ]],
    ["given two other hardware addresses", [
      "link set flannel0 address 02:00:5e:00:53:01",
      "link set flannel0p address 02:00:5e:00:53:00",
    ]],
    ["robbed of a route", ["route delete 10.1.2.0/24"]],
    ["robbed of what is behind them", [
      "route delete unreachable 10.1.0.0/16 metric 4278198272",
    ]],
  ];
  for (const [what, lines] of CHANGES) {
    test(`a device that is ${what} is restored, and packets flow`, async (host) => {
      await host.start();
      for (const line of lines) ip(line);
      await host.clock.advance(5_000);
      await eventually("all put right", () => {
        void host.clock.advance(5_000);
        return host.routes().join() === ROUTES.join() &&
          host.link("flannel0").operUp && host.link("flannel0p").operUp &&
          host.link("flannel0").mtuBytes === 1_472;
      });
      assertEquals(host.attached(), ALL);
      await host.proveThatPacketsFlow();
    });
  }

  test("an underlay that is renamed goes on, and is shown by its new name", async (host) => {
    const backend = await host.start();
    ip("link set eth0 down");
    ip("link set eth0 name uplink");
    ip("link set uplink up");
    host.addNeighbour("uplink", "192.0.2.2");
    await host.clock.advance(5_000);
    assertEquals(
      host.attached(),
      [...ALL.slice(1), "uplink ingress loden_rx tcx"],
    );
    const names = Object.keys(backend.status().details!);
    assertEquals(names, ["receive on uplink", "source port", "flows on"]);
    ip("link delete uplink");
  });

  test("an underlay that is unplugged and comes back carries packets again", async (host) => {
    const backend = await host.start();
    ip("link delete eth0");
    await host.clock.advance(5_000);
    assertEquals(host.attached(), ALL.slice(1));
    host.plugIn();
    await eventually("the programs at eth0", () => {
      void host.clock.advance(5_000);
      return host.attached().join() === ALL.join();
    });
    await host.clock.advance(5_000);
    await host.proveThatPacketsFlow();
    assertEquals(backend.status().dataPath, "ebpf");
  });

  test("a changed MTU of the underlay or of the path is on the peers' routes while it lasts", async (host) => {
    await host.start();
    const mtuRoutes = (text: string) =>
      host.routes().filter((route) => route.includes(text)).length;
    ip("link set eth0 mtu 1400");
    await host.clock.advance(5_000);
    assertEquals(mtuRoutes("mtu 1372"), 2);
    ip("link set eth0 mtu 1500");
    ip("route add 192.0.2.2/32 dev eth0 mtu 1300");
    await host.clock.advance(5_000);
    assertEquals([mtuRoutes("mtu 1272"), mtuRoutes("mtu 1372")], [1, 0]);
    ip("route delete 192.0.2.2/32");
    await host.clock.advance(5_000);
    assertEquals(host.routes(), ROUTES);
    await host.proveThatPacketsFlow();
  });

  test("a router's message about a packet with a port of the range sets the MTU of the peer's route", async (host) => {
    const backend = await host.start({ sourcePort: "hash" });
    const { sourcePort } = await host.sendOut();
    assert(sourcePort >= 49_152, `${sourcePort}`);
    host.injectPacket(fragmentationNeeded({
      from: "192.0.2.3",
      to: OWN_ADDRESS,
      about: {
        source: OWN_ADDRESS,
        destination: REMOTE,
        port: FIRST.port,
        sourcePort,
      },
      mtuBytes: 1_400,
    }));
    await eventually(
      "the MTU at the peer's route",
      () => host.routes().includes(`${PEER_ROUTES[0]} mtu 1372`),
    );
    assertEquals(backend.status().counters["tx.pathMtuLearned"], 1);
  });

  test("no packet is lost while an agent takes over that sends from other ports", async (host) => {
    for (const [before, after] of [["fixed", "hash"], ["hash", "fixed"]]) {
      const options = (sourcePort: string) => ({
        sourcePort: sourcePort as "hash" | "fixed",
      });
      const first = await host.start(options(before!));
      const sentBy = (agent: typeof first) =>
        agent.status().counters["tx.packets"]!;
      const sent = sentBy(first);
      const packets = steadyPackets(PACKETS);
      // Until then, the new process may still hold copies of our descriptors.
      await eventually("a packet", () => sentBy(first) > sent);
      await host.stop(first);
      const second = await host.start(options(after!));
      await packets.ended;
      assertEquals(sentBy(second) - sent, PACKETS);
      const { sourcePort } = await host.sendOut();
      assertEquals(sourcePort === FIRST.port, after === "fixed");
      assertEquals(
        second.underlayUse()!.traffic[0]!.sourcePorts,
        after === "fixed" ? undefined : "49152-65535",
      );
      await host.stop(second);
    }
  });

  test("a peer by a second underlay is sent and heard there, and by the first again when its route goes", async (host) => {
    await host.start();
    host.plugIn("eth1", "198.51.100.1/24", ["198.51.100.2"]);
    ip("route add 192.0.2.2/32 via 198.51.100.2 dev eth1");
    await host.clock.advance(5_000);
    assertEquals(host.attached(), [
      ALL[0]!,
      "eth1 ingress loden_rx tcx",
      ...ALL.slice(1),
    ]);
    await host.proveThatPacketsFlow("eth1");
    ip("route delete 192.0.2.2/32");
    await host.clock.advance(5_000);
    assertEquals(host.attached(), ALL);
    await host.proveThatPacketsFlow();
  });

  test("an agent that is started again leaves the program on a second underlay until it knows the peers", async (host) => {
    const first = await host.start();
    host.plugIn("eth1", "198.51.100.1/24", ["198.51.100.2"]);
    ip("route add 192.0.2.2/32 via 198.51.100.2 dev eth1");
    await host.clock.advance(5_000);
    await first.stop();
    const second = host.backend();
    await second.start(host.context(), signal);
    await host.proveThatPacketsFlow("eth1");
    ip("route delete 192.0.2.2/32");
    await second.apply({ added: PEERS, changed: [], removed: [] });
    assertEquals(host.attached(), ALL);
    await host.proveThatPacketsFlow();
  });

  test("a host goes from the kernel's path to user space and back, and nothing of the other is left", async (host) => {
    for (const dataPath of ["ebpf", "tun", "ebpf", "tun"] as const) {
      const backend = await host.start({ dataPath });
      const kind = dataPath === "ebpf" ? "veth" : "tun";
      assertEquals(host.link("flannel0").kind, kind);
      assertEquals(host.has("flannel0p"), dataPath === "ebpf");
      assertEquals(host.attached(), dataPath === "ebpf" ? ALL : []);
      assertEquals(
        host.routes(),
        dataPath === "ebpf"
          ? ROUTES
          : ["10.1.0.0/16 dev flannel0 scope link", UNREACHABLE].map((route) =>
            route.replace(" scope link", "")
          ),
      );
      await host.proveThatPacketsFlow();
      await host.stop(backend);
    }
  });

  const REFUSALS = [
    ["programs are forbidden", "loadProgram", ERRNO.EPERM, "EPERM"],
    ["there is no room for maps", "createMap", ERRNO.ENOSPC, "ENOSPC"],
    ["nothing can be attached", "attach", ERRNO.EINVAL, "EINVAL"],
  ] as const;
  for (const [what, method, errno, name] of REFUSALS) {
    test(`where ${what}, auto goes by user space and says why`, async (host) => {
      using logs = new CapturedLogs();
      const backend = host.backend(
        { dataPath: "auto" },
        refusing(method, errno),
      );
      await backend.start(host.context(), signal);
      await backend.apply({ added: PEERS, changed: [], removed: [] });
      const { dataPath, reason } = backend.status();
      assertEquals(dataPath, "tun");
      assert(reason.includes(name), reason);
      const [fallback, ...others] = logs.events("backend.fallback");
      assertEquals(others, []);
      assert(String(fallback?.reason).includes(name));
      await host.proveThatPacketsFlow();
      assertEquals(host.attached(), []);
    });
  }

  const UNSURE = [
    ["has IPsec policies", () => 2, "IPsec"],
    ["does not tell of IPsec policies", () => {
      throw new NetlinkError("list the IPsec policies", ERRNO.EPERM);
    }, "EPERM"],
  ] as const;
  for (const [what, countIpsecPolicies, reasonWord] of UNSURE) {
    test(`where the host ${what}, auto goes by user space, and only a person's word by the kernel`, async (host) => {
      const auto = host.backend({ dataPath: "auto" }, { countIpsecPolicies });
      await auto.start(host.context(), signal);
      const { dataPath, reason } = auto.status();
      assertEquals(dataPath, "tun");
      assert(reason.includes(reasonWord), reason);
      await host.stop(auto);
      const asked = host.backend({ dataPath: "ebpf" }, { countIpsecPolicies });
      await asked.start(host.context(), signal);
      assertEquals(host.attached(), ALL);
    });
  }

  test("auto takes the kernel's path where it works, and says so", async (host) => {
    const backend = await host.start({ dataPath: "auto" });
    const { dataPath, reason } = backend.status();
    assertEquals([dataPath, reason], ["ebpf", "the fastest that works here"]);
    await host.proveThatPacketsFlow();
  });

  for (
    const [method, calls] of [
      ["createMap", 2],
      ["loadProgram", 1],
      ["loadProgram", 4],
      ["attach", 0],
      ["attach", 1],
      ["attach", 2],
    ] as const
  ) {
    test(`a start of which ${method} is refused after ${calls} times leaves nothing`, async (host) => {
      const before = openBpfDescriptors();
      const backend = host.backend(
        {},
        refusing(method, ERRNO.EPERM, calls),
      );
      await assertRejects(
        () => backend.start(host.context(), signal),
        KernelPathUnavailableError,
        "EPERM",
      );
      assertEquals([host.attached(), host.routes()], [[], []]);
      assert(!host.has("flannel0") && !host.has("flannel0p"));
      assertEquals(openBpfDescriptors(), before);
      await host.start();
      await host.proveThatPacketsFlow();
    });
  }

  test("a second start that is refused leaves what runs, and packets flow on", async (host) => {
    await host.stop(await host.start());
    for (const method of ["loadProgram", "attach"] as const) {
      const backend = host.backend({}, refusing(method, ERRNO.EPERM, 1));
      await assertRejects(
        () => backend.start(host.context(), signal),
        KernelPathUnavailableError,
      );
      assertEquals([host.attached(), host.routes()], [ALL, ROUTES]);
      await host.proveThatPacketsFlow();
    }
  });

  test("starting and stopping leaves no descriptor open", async (host) => {
    const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
    const cycle = async () => host.stop(await host.start());
    await cycle();
    const before = descriptors();
    await cycle();
    await cycle();
    assertEquals([descriptors(), openBpfDescriptors()], [before, []]);
  });

  test("programs of others at the same places stay and go on, also an XDP program", async (host) => {
    host.ethtool.setFeatures("eth0", {
      "rx-gro": true,
      "tx-tcp-segmentation": false,
    });
    const { bpf } = host;
    const { index } = host.link("eth0");
    const pass = (name: string, type: "schedCls" | "xdp") =>
      bpf.loadProgram({
        name,
        type,
        build: () => [mov(R0, type === "xdp" ? 2 : -1), exit()],
      });
    using atIngress = pass("foreign", "schedCls");
    using atDriver = pass("foreign_xdp", "xdp");
    bpf.attach(index, "ingress", atIngress);
    bpf.setXdp(index, atDriver);
    const first = await host.start();
    const expected = [
      "eth0 ingress foreign tcx",
      ...ALL,
      "eth0 xdp foreign_xdp",
    ].sort();
    assertEquals(host.attached(), expected);
    await host.proveThatPacketsFlow();
    const [detail] = Object.values(first.status().details!);
    assert(/^gro by tcx: native XDP was refused: .*EBUSY/.test(detail!));
    await host.stop(first);
    const second = await host.start();
    assertEquals(host.attached(), expected);
    await host.stop(second);
    await host.start({ dataPath: "tun" });
    assertEquals(host.attached(), [
      "eth0 ingress foreign tcx",
      "eth0 xdp foreign_xdp",
    ]);
    await host.proveThatPacketsFlow();
  });

  test("two networks' agents are on one underlay, and neither takes the other's packets or programs", async (host) => {
    await host.start();
    const second = await host.start(
      {},
      [peerOf("10.2.2.0/24", "192.0.2.2", "ebpf")],
      SECOND,
    );
    await host.proveThatPacketsFlow("eth0", FIRST);
    await host.proveThatPacketsFlow("eth0", SECOND);
    const both = host.attached();
    assertEquals(both.length, 6);
    await host.stop(second);
    await host.start(
      {},
      [peerOf("10.2.2.0/24", "192.0.2.3", "ebpf")],
      SECOND,
    );
    assertEquals(host.attached(), both);
    await host.proveThatPacketsFlow("eth0", FIRST);
    await host.proveThatPacketsFlow("eth0", SECOND, "192.0.2.3");
  });

  test("10,000 peers have their routes, one of them moves, and most of them go", async (host) => {
    const net = "10.1";
    const many = Array.from({ length: 10_000 }, (_, index): Peer => ({
      ...PEERS[0]!,
      // Of 16 addresses each, behind those of the host.
      subnet: {
        address: (address(`${net}.16.0`) + index * 4) as Ipv4,
        prefixLength: 30 as const,
      } as Peer["subnet"],
      publicIp: address(index % 2 === 0 ? "192.0.2.2" : "192.0.2.3"),
    }));
    const backend = await host.start({}, [...PEERS, ...many]);
    const count = () =>
      host.rtnetlink.routes().filter(({ interfaceIndex, table }) =>
        interfaceIndex === host.link("flannel0").index && table === 254
      ).length;
    assertEquals([count(), backend.status().peers], [10_002, 10_002]);
    await host.proveThatPacketsFlow();
    const last = `${net}.172.57`;
    assertEquals((await host.sendOut(last)).destination, "192.0.2.2");
    await backend.apply(changed([{
      ...many[10_000 - 1]!,
      publicIp: address("192.0.2.2"),
    }]));
    await backend.apply({ added: [], changed: [], removed: many.slice(10) });
    assertEquals([count(), backend.status().peers], [12, 12]);
    await host.proveThatPacketsFlow();
  });
});
