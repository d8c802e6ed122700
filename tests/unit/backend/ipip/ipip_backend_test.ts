import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  BackendStartError,
  UnderlayMtuError,
} from "../../../../backend/errors.ts";
import { createIpipBackend } from "../../../../backend/ipip/ipip_backend.ts";
import { ROUTE_PROTOCOL } from "../../../../backend/reconcile/kernel_state.ts";
import { ERRNO } from "../../../../linux/errno.ts";
import { NetlinkError } from "../../../../linux/netlink/errors.ts";
import { formatCidr } from "../../../../net/cidr.ts";
import { formatIpv4, parseIpv4 } from "../../../../net/ipv4.ts";
import { underlayMtu } from "../../../../net/mtu.ts";
import {
  type KernelWorld,
  kernelWorld,
  peerOf,
  startWith,
} from "../kernel_world.ts";

const OPTIONS = {
  directRouting: false,
  deviceAlias: "loden:/coreos.com/network",
};
const PEER = peerOf("10.1.5.0/24", "192.0.2.12", "ipip");
const FAR = peerOf("10.1.6.0/24", "203.0.113.9", "ipip");

const signal = new AbortController().signal;

function deviceOf({ rtnetlink }: KernelWorld) {
  return rtnetlink.links().find(({ name }) => name === "flannel.ipip")!;
}

/** The peers' routes, as text. */
function routes(world: KernelWorld): string[] {
  const names = new Map(
    world.rtnetlink.links().map(({ index, name }) => [index, name]),
  );
  return world.rtnetlink.routes()
    .filter(({ protocol, type }) =>
      protocol === ROUTE_PROTOCOL && type === "unicast"
    )
    .map(({ destination, gateway, interfaceIndex }) =>
      `${formatCidr(destination)} via ${formatIpv4(gateway!)} dev ${
        names.get(interfaceIndex!)
      }`
    );
}

const ROUTED = ["10.1.5.0/24 via 192.0.2.12 dev flannel.ipip"];

Deno.test("ipip advertises its name and no data, as flannel does", () => {
  const backend = createIpipBackend(kernelWorld().parts, OPTIONS);
  assertEquals(backend.advertise(), { backendType: "ipip" });
});

Deno.test("ipip makes the device that flannel makes", async () => {
  const world = kernelWorld();
  const backend = createIpipBackend(world.parts, OPTIONS);
  const overlay = await backend.start(world.context, signal);
  assertEquals(overlay, {
    deviceName: "flannel.ipip",
    mtuBytes: 1480 as never,
  });
  const device = deviceOf(world);
  assertEquals(
    [device.kind, device.up, device.mtuBytes, device.alias],
    ["ipip", true, 1480, OPTIONS.deviceAlias],
  );
  assertEquals(world.rtnetlink.ipipSettings(device.index), {
    local: parseIpv4("192.0.2.11"),
    remote: undefined,
  });
  const addresses = world.rtnetlink.addresses()
    .filter(({ interfaceIndex }) => interfaceIndex === device.index)
    .map(({ address, prefixLength }) =>
      `${formatIpv4(address)}/${prefixLength}`
    );
  assertEquals(addresses, ["10.1.27.0/32"]);
  await backend.stop();
});

Deno.test("ipip sends from the device's own address where the public one is not on the host", async () => {
  const world = kernelWorld();
  const backend = createIpipBackend(world.parts, OPTIONS);
  const publicIp = parseIpv4("203.0.113.1")!;
  const underlay = { ...world.context.underlay, publicIp };
  await backend.start({ ...world.context, underlay }, signal);
  const { local } = world.rtnetlink.ipipSettings(deviceOf(world).index)!;
  assertEquals(formatIpv4(local!), "192.0.2.11");
  await backend.stop();
});

Deno.test("ipip routes a peer through the device, follows it, and removes it", async () => {
  const world = kernelWorld();
  const backend = createIpipBackend(world.parts, OPTIONS);
  await startWith(backend, world, [PEER, FAR]);
  assertEquals(routes(world), [
    ...ROUTED,
    "10.1.6.0/24 via 203.0.113.9 dev flannel.ipip",
  ]);
  const moved = { ...PEER, publicIp: parseIpv4("192.0.2.13")! };
  await backend.apply({ added: [], changed: [moved], removed: [FAR] });
  assertEquals(routes(world), [
    "10.1.5.0/24 via 192.0.2.13 dev flannel.ipip",
  ]);
  await backend.apply({ added: [], changed: [], removed: [moved] });
  assertEquals(routes(world), []);
  await backend.stop();
});

Deno.test("ipip with DirectRouting routes peers on the link without encapsulation", async () => {
  const world = kernelWorld();
  const options = { ...OPTIONS, directRouting: true };
  const backend = createIpipBackend(world.parts, options);
  await startWith(backend, world, [PEER, FAR]);
  assertEquals(routes(world), [
    "10.1.5.0/24 via 192.0.2.12 dev eth1",
    "10.1.6.0/24 via 203.0.113.9 dev flannel.ipip",
  ]);
  await backend.stop();
});

const FAULTS: Readonly<Record<string, (world: KernelWorld) => void>> = {
  "the device deleted": (world) =>
    world.rtnetlink.deleteLink(deviceOf(world).index),
  "the device set down and up": (world) => {
    for (const up of [false, true]) {
      world.rtnetlink.changeLink(deviceOf(world).index, { up });
    }
  },
  "the MTU changed": (world) =>
    world.rtnetlink.changeLink(deviceOf(world).index, { mtuBytes: 1400 }),
  "the address removed": (world) =>
    world.rtnetlink.removeAddress(deviceOf(world).index, {
      address: world.context.subnet.address,
      prefixLength: 32,
    }),
  "a peer's route removed": ({ rtnetlink }) =>
    rtnetlink.removeRoute({ destination: PEER.subnet }),
};

for (const [fault, inject] of Object.entries(FAULTS)) {
  Deno.test(`ipip is as before after ${fault}`, async () => {
    const world = kernelWorld();
    const backend = createIpipBackend(world.parts, OPTIONS);
    await startWith(backend, world, [PEER]);
    inject(world);
    world.monitor.tell("links");
    await world.clock.advance(100);
    const { mtuBytes, up } = deviceOf(world);
    assertEquals([up, mtuBytes], [true, 1480]);
    assertEquals(routes(world), ROUTED);
    await backend.stop();
  });
}

Deno.test("ipip takes over flannel's device and routes, and removes what flannel left", async () => {
  const world = kernelWorld();
  const { rtnetlink } = world;
  const { index } = rtnetlink.createIpip({
    name: "flannel.ipip",
    local: world.context.underlay.address,
    mtuBytes: 1480,
  });
  rtnetlink.changeLink(index, { up: true });
  for (const { publicIp, subnet } of [PEER, FAR]) {
    rtnetlink.replaceRoute({
      destination: subnet,
      gateway: publicIp,
      interfaceIndex: index,
      onlink: true,
    });
  }
  const backend = createIpipBackend(world.parts, OPTIONS);
  await startWith(backend, world, [PEER]);
  assertEquals(deviceOf(world).index, index);
  assertEquals(routes(world), ROUTED);
  const ofFlannel = rtnetlink.routes().filter((route) =>
    route.interfaceIndex === index && route.protocol !== ROUTE_PROTOCOL &&
    route.type === "unicast"
  );
  assertEquals(ofFlannel, []);
  await backend.stop();
});

Deno.test("ipip makes a device again that sends from another address", async () => {
  const world = kernelWorld();
  const { index } = world.rtnetlink.createIpip({
    name: "flannel.ipip",
    local: parseIpv4("192.0.2.99")!,
    mtuBytes: 1480,
  });
  const backend = createIpipBackend(world.parts, OPTIONS);
  await startWith(backend, world, [PEER]);
  const device = deviceOf(world);
  assertEquals(device.index === index, false);
  assertEquals(
    world.rtnetlink.ipipSettings(device.index)!.local,
    world.context.underlay.address,
  );
  await backend.stop();
});

Deno.test("ipip makes a device again that leads to one host only", async () => {
  const world = kernelWorld();
  const { rtnetlink } = world;
  const local = world.context.underlay.address;
  const { index } = rtnetlink.createIpip({
    name: "flannel.ipip",
    local,
    mtuBytes: 1480,
  });
  const settings = rtnetlink.ipipSettings.bind(rtnetlink);
  rtnetlink.ipipSettings = (asked) =>
    asked === index
      ? { local, remote: parseIpv4("192.0.2.99")! }
      : settings(asked);
  const backend = createIpipBackend(world.parts, OPTIONS);
  await startWith(backend, world, [PEER]);
  assertEquals(deviceOf(world).index === index, false);
  await backend.stop();
});

Deno.test("ipip takes no device of another program's", async () => {
  const foreignName = kernelWorld();
  foreignName.rtnetlink.addLink({ name: "flannel.ipip", kind: "bridge" });
  const foreignAddress = kernelWorld();
  foreignAddress.rtnetlink.createIpip({
    name: "tunnel-of-mine",
    local: foreignAddress.context.underlay.address,
    mtuBytes: 1480,
  });
  for (const world of [foreignName, foreignAddress]) {
    const backend = createIpipBackend(world.parts, OPTIONS);
    const error = await assertRejects(
      () => backend.start(world.context, signal),
      BackendStartError,
    );
    assertMatch(
      error.message,
      /^Cannot create the device flannel\.ipip: .*taken/,
    );
    assertEquals(error.retryable, false);
    await backend.stop();
  }
});

Deno.test("ipip says how to get the module that the kernel lacks, and waits for it", async () => {
  const world = kernelWorld();
  world.rtnetlink.createIpip = () => {
    throw new NetlinkError("create the ipip device", ERRNO.EOPNOTSUPP, {
      detail: "Unknown device type",
    });
  };
  const backend = createIpipBackend(world.parts, OPTIONS);
  const error = await assertRejects(
    () => backend.start(world.context, signal),
    BackendStartError,
  );
  assertMatch(
    error.message,
    /EOPNOTSUPP: the kernel must have the module ipip/,
  );
  assertMatch(error.hint!, /^modprobe ipip/);
  assertEquals(error.retryable, true);
  await backend.stop();
});

Deno.test("ipip refuses an underlay whose packets have no room for its header", async () => {
  const world = kernelWorld();
  const backend = createIpipBackend(world.parts, OPTIONS);
  const underlay = { ...world.context.underlay, mtuBytes: underlayMtu(80) };
  await assertRejects(
    () => backend.start({ ...world.context, underlay }, signal),
    UnderlayMtuError,
    "must be at least 88 bytes: current value is 80",
  );
  await backend.stop();
});

Deno.test("ipip names the packets that only hosts may send", async () => {
  const world = kernelWorld();
  const backend = createIpipBackend(world.parts, OPTIONS);
  await startWith(backend, world, [PEER]);
  assertEquals(backend.underlayUse(), {
    traffic: [{ protocol: 4 }],
    devices: ["eth1"],
  });
  await backend.stop();
});

Deno.test("ipip leaves the device of another network alone, and takes one without an owner", async () => {
  const world = kernelWorld();
  const other = createIpipBackend(world.parts, {
    ...OPTIONS,
    deviceAlias: "loden:/other/network",
  });
  await other.start(world.context, signal);
  await other.stop();
  const refused = createIpipBackend(world.parts, OPTIONS);
  const error = await assertRejects(
    () => refused.start(world.context, signal),
    BackendStartError,
  );
  assertMatch(error.message, /another network \(loden:\/other\/network\)/);
  await refused.stop();
  const { alias, index } = deviceOf(world);
  assertEquals(alias, "loden:/other/network");
  world.rtnetlink.changeLink(index, { alias: "" });
  const backend = createIpipBackend(world.parts, OPTIONS);
  await backend.start(world.context, signal);
  assertEquals(deviceOf(world).index, index);
  await backend.stop();
});

Deno.test("ipip takes packets without encapsulation with DirectRouting only", async () => {
  for (const directRouting of [false, true]) {
    const world = kernelWorld();
    const options = { ...OPTIONS, directRouting };
    const backend = createIpipBackend(world.parts, options);
    await startWith(backend, world, [PEER]);
    assertEquals(backend.directDevices(), directRouting ? ["eth1"] : []);
    await backend.stop();
  }
});
