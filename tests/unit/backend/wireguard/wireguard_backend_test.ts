import { assert, assertEquals, assertRejects } from "@std/assert";
import { describeError } from "../../../../errors.ts";
import { BackendStartError } from "../../../../backend/errors.ts";
import { UNREACHABLE_METRIC } from "../../../../backend/overlay_device.ts";
import { ROUTE_PROTOCOL } from "../../../../backend/reconcile/kernel_state.ts";
import {
  createWireguardBackend,
  type WireguardBackendOptions,
  type WireguardBackendParts,
} from "../../../../backend/wireguard/wireguard_backend.ts";
import { WireguardKey } from "../../../../backend/wireguard/wireguard_key.ts";
import { formatCidr, parseCidr } from "../../../../net/cidr.ts";
import { formatIpv4, parseIpv4 } from "../../../../net/ipv4.ts";
import type { Peer } from "../../../../net/peer.ts";
import { FakeWireguard } from "../../../fakes/fake_wireguard.ts";
import { CapturedLogs } from "../../../support/capture_logs.ts";
import {
  type KernelWorld,
  kernelWorld,
  peerOf,
  startWith,
} from "../kernel_world.ts";

const PRIVATE_KEY = new Uint8Array(32).fill(0x48);
const KEY = new WireguardKey(PRIVATE_KEY);
const keyOf = (byte: number) => new Uint8Array(32).fill(byte).toBase64();
const OPTIONS: WireguardBackendOptions = {
  port: 51820,
  outerMtuBytes: undefined,
  presharedKey: undefined,
  keepaliveSeconds: 0,
  deviceAlias: "loden:/coreos.com/network",
};
const leaseOf = (number: number, data: unknown) =>
  peerOf(`10.1.${number}.0/24`, `192.0.2.${number}`, "wireguard", data);
const PEER = leaseOf(12, { PublicKey: keyOf(12), Port: 51820 });
const OTHER = leaseOf(13, { PublicKey: keyOf(13), Port: 4242 });

const signal = new AbortController().signal;

interface World extends KernelWorld {
  readonly wireguard: FakeWireguard;
  readonly parts: KernelWorld["parts"] & WireguardBackendParts;
}

function wireguardWorld(): World {
  const world = kernelWorld();
  const wireguard = new FakeWireguard(world.rtnetlink);
  const parts = {
    ...world.parts,
    wireguard,
    wallClock: world.clock,
    loadKey: () => Promise.resolve(KEY),
  };
  return { ...world, wireguard, parts };
}

function deviceOf({ rtnetlink }: KernelWorld) {
  return rtnetlink.links().find(({ name }) => name === "flannel-wg");
}

/** All that the backend has programmed, as text. */
function programmed(world: World): string[] {
  const { rtnetlink, wireguard } = world;
  const index = deviceOf(world)?.index;
  const peers = index === undefined ? [] : wireguard.device(index).peers;
  return [
    ...rtnetlink.routes()
      .filter(({ protocol }) => protocol === ROUTE_PROTOCOL)
      .map(({ destination, interfaceIndex, type }) =>
        `${type} ${formatCidr(destination)}${
          interfaceIndex === undefined
            ? ""
            : interfaceIndex === index
            ? " flannel-wg"
            : " another device"
        }`
      ),
    ...peers.map(({ allowedIps, endpoint, publicKey }) =>
      `peer ${publicKey} ${formatIpv4(endpoint!.address)}:${endpoint!.port} ${
        allowedIps.map(formatCidr)
      }`
    ),
  ].toSorted();
}

const CLOSED = "unreachable 10.1.0.0/16";
const PROGRAMMED = [
  `peer ${keyOf(12)} 192.0.2.12:51820 10.1.12.0/24`,
  "unicast 10.1.12.0/24 flannel-wg",
  CLOSED,
];

Deno.test("wireguard advertises its public key and its port as flannel does", async () => {
  const backend = createWireguardBackend(wireguardWorld().parts, OPTIONS);
  await backend.prepare();
  assertEquals(
    JSON.stringify(backend.advertise()),
    `{"backendType":"wireguard","backendData":{"PublicKey":"${KEY.publicKey}","Port":51820}}`,
  );
});

Deno.test("wireguard makes the device that flannel makes", async () => {
  const world = wireguardWorld();
  const backend = createWireguardBackend(world.parts, OPTIONS);
  const overlay = await backend.start(world.context, signal);
  assertEquals(overlay, { deviceName: "flannel-wg", mtuBytes: 1420 as never });
  const device = deviceOf(world)!;
  assertEquals(
    [device.up, device.mtuBytes, device.alias, device.kind],
    [true, 1420, "loden:/coreos.com/network", "wireguard"],
  );
  const { listenPort, publicKey } = world.wireguard.device(device.index);
  assertEquals([listenPort, publicKey], [51820, KEY.publicKey]);
  const addresses = world.rtnetlink.addresses().filter((
    { interfaceIndex },
  ) => interfaceIndex === device.index);
  assertEquals(
    addresses.map(({ address, prefixLength }) => [
      formatIpv4(address),
      prefixLength,
    ]),
    [["10.1.27.0", 32]],
  );
  assertEquals(backend.underlayUse()!.traffic, [{ protocol: 17, port: 51820 }]);
  await backend.stop();
  // What carries packets stays.
  assert(deviceOf(world)!.up);
});

Deno.test("wireguard closes the network before there is a device, and leaves it closed", async () => {
  const world = wireguardWorld();
  world.rtnetlink.hasWireguard = false;
  const backend = createWireguardBackend(world.parts, OPTIONS);
  const error = await assertRejects(
    () => backend.start(world.context, signal),
    BackendStartError,
  );
  // The module may be installed while the agent waits.
  assertEquals([error.code, error.retryable], ["backend.start", true]);
  assertEquals(
    describeError(error),
    "Cannot create the device flannel-wg: the kernel answered EOPNOTSUPP: the " +
      "kernel must have the module wireguard (modprobe wireguard; if there is " +
      "no such module, install the distribution's full kernel package, or use " +
      "another backend)",
  );
  assertEquals(programmed(world), [CLOSED]);
  const [route] = world.rtnetlink.routes()
    .filter(({ type }) => type === "unreachable");
  assertEquals(route!.metric, UNREACHABLE_METRIC);
  await backend.stop();
});

Deno.test("wireguard programs a peer, follows its changes, and removes it", async () => {
  const world = wireguardWorld();
  const backend = createWireguardBackend(world.parts, OPTIONS);
  await startWith(backend, world, [PEER]);
  assertEquals(programmed(world), PROGRAMMED);
  const moved = { ...PEER, publicIp: parseIpv4("192.0.2.99")! };
  await backend.apply({ added: [], changed: [moved], removed: [] });
  assertEquals(
    programmed(world)[0],
    `peer ${keyOf(12)} 192.0.2.99:51820 10.1.12.0/24`,
  );
  const backendData = { PublicKey: keyOf(55), Port: 51820 };
  const remade = { ...moved, backendData };
  await backend.apply({ added: [], changed: [remade], removed: [] });
  assertEquals(programmed(world), [
    `peer ${keyOf(55)} 192.0.2.99:51820 10.1.12.0/24`,
    "unicast 10.1.12.0/24 flannel-wg",
    CLOSED,
  ]);
  await backend.apply({ added: [], changed: [], removed: [remade] });
  assertEquals(programmed(world), [CLOSED]);
  await backend.stop();
});

Deno.test("wireguard refuses a peer whose value it cannot use, and serves the others", async () => {
  using logs = new CapturedLogs();
  const world = wireguardWorld();
  const backend = createWireguardBackend(world.parts, OPTIONS);
  const bad: Peer = leaseOf(14, { PublicKey: "xx", Port: 51820 });
  await startWith(backend, world, [bad, PEER]);
  assertEquals(programmed(world), PROGRAMMED);
  const { details, peers } = backend.status();
  assertEquals(peers, 1);
  const reason = "the lease's BackendData must have a PublicKey of 32 bytes " +
    'in base64: current value is "xx"';
  assertEquals(details!["not served: 10.1.14.0/24"], reason);
  assertEquals(logs.events("backend.peer-refused"), [{
    event: "backend.peer-refused",
    subnet: "10.1.14.0/24",
    reason,
  }]);
  await backend.stop();
});

/** What other programs do, and what the kernel reports of it. */
const FAULTS: Readonly<Record<string, (world: World) => void>> = {
  "the device is deleted": (world) => {
    world.rtnetlink.deleteLink(deviceOf(world)!.index);
    world.monitor.tell("links");
  },
  "the device is set down": (world) => {
    world.rtnetlink.changeLink(deviceOf(world)!.index, { up: false });
    world.monitor.tell("links");
  },
  "the device is set down and up": (world) => {
    const { index } = deviceOf(world)!;
    world.rtnetlink.changeLink(index, { up: false });
    world.rtnetlink.changeLink(index, { up: true });
    world.monitor.tell("links");
  },
  "the device's address is removed": (world) => {
    const address = { address: parseIpv4("10.1.27.0")!, prefixLength: 32 };
    world.rtnetlink.removeAddress(deviceOf(world)!.index, address);
    world.monitor.tell("addresses");
  },
  "the device's MTU is changed": (world) => {
    world.rtnetlink.changeLink(deviceOf(world)!.index, { mtuBytes: 1300 });
    world.monitor.tell("links");
  },
  "the peers' routes are removed": (world) => {
    world.rtnetlink.removeRoute({ destination: PEER.subnet });
    world.monitor.tell("routes");
  },
  "the safety route is removed": (world) => {
    world.rtnetlink.removeRoute({
      destination: parseCidr("10.1.0.0/16")!,
      type: "unreachable",
      metric: UNREACHABLE_METRIC,
    });
    world.monitor.tell("routes");
  },
  // The kernel reports none of these.
  "the peers are removed": ({ wireguard, ...world }) =>
    wireguard.change(deviceOf(world)!.index, { removePeers: [keyOf(12)] }),
  "a peer's addresses are taken away": ({ wireguard, ...world }) =>
    wireguard.change(deviceOf(world)!.index, {
      putPeers: [{ publicKey: keyOf(12), allowedIps: [] }],
    }),
  "a peer is added": ({ wireguard, ...world }) =>
    wireguard.change(deviceOf(world)!.index, {
      putPeers: [{ publicKey: keyOf(99), allowedIps: [PEER.subnet] }],
    }),
  "the key is changed": ({ wireguard, ...world }) =>
    wireguard.change(deviceOf(world)!.index, {
      privateKey: new Uint8Array(32).fill(0x40),
    }),
  "the port is changed": ({ wireguard, ...world }) =>
    wireguard.change(deviceOf(world)!.index, { listenPort: 1 }),
};

for (const [fault, cause] of Object.entries(FAULTS)) {
  Deno.test(`wireguard is as before within a second when ${fault}`, async () => {
    const world = wireguardWorld();
    const backend = createWireguardBackend(world.parts, OPTIONS);
    await startWith(backend, world, [PEER]);
    cause(world);
    await world.clock.advance(1_000);
    assertEquals(programmed(world), PROGRAMMED);
    const device = deviceOf(world)!;
    assertEquals([device.up, device.mtuBytes], [true, 1420]);
    const { listenPort, publicKey } = world.wireguard.device(device.index);
    assertEquals([listenPort, publicKey], [51820, KEY.publicKey]);
    await backend.stop();
  });
}

Deno.test("wireguard changes nothing where nothing is wrong", async () => {
  const world = wireguardWorld();
  const backend = createWireguardBackend(world.parts, OPTIONS);
  await startWith(backend, world, [PEER, OTHER]);
  const { changes } = world.wireguard;
  world.monitor.tell("links");
  await world.clock.advance(20_000);
  assertEquals(world.wireguard.changes, changes);
  await backend.stop();
});

Deno.test("wireguard changes a device in place at a restart, flannel's as well", async () => {
  const world = wireguardWorld();
  const { rtnetlink, wireguard } = world;
  // As flannel leaves it when it is killed.
  const { index } = rtnetlink.createWireguard({
    name: "flannel-wg",
    mtuBytes: 1400,
  });
  wireguard.change(index, {
    privateKey: PRIVATE_KEY,
    listenPort: 51820,
    putPeers: [
      {
        publicKey: keyOf(12),
        endpoint: { address: PEER.publicIp, port: 51820 },
        allowedIps: [PEER.subnet],
      },
      { publicKey: keyOf(98), allowedIps: [] },
    ],
  });
  rtnetlink.ensureAddress(index, {
    address: parseIpv4("10.1.27.0")!,
    prefixLength: 32,
  });
  rtnetlink.changeLink(index, { up: true });
  rtnetlink.replaceRoute({
    destination: parseCidr("10.1.0.0/16")!,
    interfaceIndex: index,
    scope: "link",
  });
  wireguard.touchPeer(index, keyOf(12), { rxBytes: 4711 });
  const first = createWireguardBackend(world.parts, OPTIONS);
  await startWith(first, world, [PEER]);
  await first.stop();
  const second = createWireguardBackend(world.parts, OPTIONS);
  await startWith(second, world, [PEER]);
  await second.stop();
  assertEquals(deviceOf(world)!.index, index);
  assertEquals(programmed(world), PROGRAMMED);
  assertEquals(deviceOf(world)!.mtuBytes, 1420);
  // A new entry would have lost its session.
  assertEquals(wireguard.device(index).peers[0]!.rxBytes, 4711);
  const [left] = rtnetlink.routes().filter((route) =>
    route.interfaceIndex === index && route.protocol !== ROUTE_PROTOCOL &&
    route.type === "unicast"
  );
  assertEquals(left, undefined);
});

Deno.test("wireguard keeps the peers of an earlier run until it knows the peers", async () => {
  const world = wireguardWorld();
  const first = createWireguardBackend(world.parts, OPTIONS);
  await startWith(first, world, [PEER]);
  await first.stop();
  const second = createWireguardBackend(world.parts, OPTIONS);
  await second.start(world.context, signal);
  await world.clock.advance(6_000);
  assertEquals(programmed(world), PROGRAMMED);
  await second.apply({ added: [], changed: [], removed: [] });
  assertEquals(programmed(world), [CLOSED]);
  await second.stop();
});

Deno.test("wireguard refuses a device name or a port that is taken", async () => {
  const foreign = [
    (world: World) => {
      world.rtnetlink.addLink({ name: "flannel-wg", kind: "bridge" });
    },
    (world: World) => {
      world.rtnetlink.addLink({
        name: "flannel-wg",
        kind: "wireguard",
        alias: "loden:/other/network",
      });
    },
    (world: World) => {
      world.wireguard.takenPorts.add(51820);
    },
  ];
  const said = [
    "it is taken: a bridge device",
    "it is taken: the device of another network (loden:/other/network)",
    "another program or device has it",
  ];
  for (const [number, take] of foreign.entries()) {
    const world = wireguardWorld();
    take(world);
    const backend = createWireguardBackend(world.parts, OPTIONS);
    const error = await assertRejects(
      () => backend.start(world.context, signal),
      BackendStartError,
    );
    assertEquals([error.code, error.retryable], ["backend.start", false]);
    assert(error.message.includes(said[number]!), error.message);
    await backend.stop();
  }
});

Deno.test("wireguard renews the sessions that a fault has ended, and no others", async () => {
  for (const keepaliveSeconds of [0, 25]) {
    const world = wireguardWorld();
    const { sent } = world.wireguard;
    const options = { ...OPTIONS, keepaliveSeconds };
    const backend = createWireguardBackend(world.parts, options);
    await startWith(backend, world, [PEER, OTHER]);
    assertEquals(new Set(sent), new Set([keyOf(12), keyOf(13)]));
    const renewedBy = async (act: (world: World) => void) => {
      sent.length = 0;
      act(world);
      await world.clock.advance(1_000);
      const { peers } = world.wireguard.device(deviceOf(world)!.index);
      assertEquals(
        peers.map((peer) => peer.keepaliveSeconds),
        [keepaliveSeconds, keepaliveSeconds],
      );
      return new Set(sent);
    };
    const all = new Set([keyOf(12), keyOf(13)]);
    for (
      const fault of [
        "the device is deleted",
        "the device is set down",
        "the device is set down and up",
        "the key is changed",
      ]
    ) assertEquals(await renewedBy(FAULTS[fault]!), all, fault);
    assertEquals(
      await renewedBy(FAULTS["the peers are removed"]!),
      new Set([keyOf(12)]),
    );
    assertEquals(await renewedBy(() => {}), new Set());
    await backend.stop();
    // A restart ends no session.
    sent.length = 0;
    const second = createWireguardBackend(world.parts, options);
    await startWith(second, world, [PEER, OTHER]);
    assertEquals(sent, []);
    await second.stop();
  }
});

Deno.test("wireguard gives every peer the preshared key and the keepalive", async () => {
  const world = wireguardWorld();
  const presharedKey = new Uint8Array(32).fill(3);
  const backend = createWireguardBackend(world.parts, {
    ...OPTIONS,
    presharedKey,
    keepaliveSeconds: 25,
    port: 4242,
    outerMtuBytes: 1400,
  });
  await startWith(backend, world, [PEER, OTHER]);
  const device = deviceOf(world)!;
  assertEquals(device.mtuBytes, 1320);
  const { listenPort, peers } = world.wireguard.device(device.index);
  assertEquals(listenPort, 4242);
  assertEquals(
    peers.map((peer) => [peer.presharedKey, peer.keepaliveSeconds]),
    [[presharedKey, 25], [presharedKey, 25]],
  );
  await backend.stop();
});

Deno.test("wireguard shows ports and sessions, and never a private or a preshared key", async () => {
  using logs = new CapturedLogs();
  const world = wireguardWorld();
  const presharedKey = new Uint8Array(32).fill(0x37);
  const options = { ...OPTIONS, presharedKey };
  const backend = createWireguardBackend(world.parts, options);
  await startWith(backend, world, [PEER]);
  const { index } = deviceOf(world)!;
  world.wireguard.touchPeer(index, keyOf(12), {
    lastHandshakeMs: world.clock.now(),
    txBytes: 1,
  });
  // Everything that is logged when something is wrong.
  for (const [, cause] of Object.entries(FAULTS)) {
    cause(world);
    await world.clock.advance(1_000);
  }
  const status = backend.status();
  assertEquals(status.dataPath, "kernel WireGuard");
  assertEquals(status.details!.port, "51820");
  assertEquals(status.details!["public key"], KEY.publicKey);
  assertEquals(status.details!["preshared key"], "yes");
  assertEquals(status.details!.sessions, "0 of 1 peers");
  const shown = [
    JSON.stringify([status, backend.advertise(), logs.records, KEY]),
    Deno.inspect([status, backend, logs.records, KEY], { depth: 20 }),
    `${KEY}`,
  ].join("\n");
  for (const secret of [PRIVATE_KEY, presharedKey]) {
    for (const text of [secret.toBase64(), secret.toHex(), secret.join()]) {
      assert(!shown.includes(text.slice(0, 24)), "a secret is shown");
    }
    assert(!shown.includes([...secret].join(", ").slice(0, 24)));
  }
  await backend.stop();
});
