import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { BackendStartError } from "../../../../backend/errors.ts";
import { ROUTE_PROTOCOL } from "../../../../backend/reconcile/kernel_state.ts";
import { createVxlanBackend } from "../../../../backend/vxlan/vxlan_backend.ts";
import type { VxlanBackendOptions } from "../../../../backend/vxlan/vxlan_options.ts";
import { formatCidr } from "../../../../net/cidr.ts";
import { formatIpv4, parseIpv4 } from "../../../../net/ipv4.ts";
import { formatMac, parseMac } from "../../../../net/mac.ts";
import {
  type KernelWorld,
  kernelWorld,
  peerOf,
  removeRoute,
  startWith,
} from "../kernel_world.ts";

const OPTIONS: VxlanBackendOptions = {
  vni: 1,
  port: 8472,
  outerMtuBytes: undefined,
  groupPolicy: false,
  learning: false,
  directRouting: false,
  deviceAlias: "loden:/coreos.com/network",
  mac: parseMac("0a:00:00:00:00:27")!,
  txChecksum: "auto",
};
const PEER = peerOf("10.1.5.0/24", "192.0.2.12", "vxlan", {
  VNI: 1,
  VtepMAC: "0a:00:00:00:00:05",
});
const FAR = peerOf("10.1.6.0/24", "203.0.113.9", "vxlan", {
  VNI: 1,
  VtepMAC: "0A-00-00-00-00-06",
});

const signal = new AbortController().signal;

/** All that the backend has programmed, as text. */
function programmed({ rtnetlink }: KernelWorld): string[] {
  const link = rtnetlink.links().find(({ name }) => name === "flannel.1");
  const index = link?.index ?? -1;
  return [
    ...rtnetlink.routes()
      .filter(({ protocol }) => protocol === ROUTE_PROTOCOL)
      .filter(({ type }) => type === "unicast")
      .map(({ destination, gateway, interfaceIndex }) =>
        `route ${formatCidr(destination)} ${formatIpv4(gateway!)} ${
          interfaceIndex === index ? "flannel.1" : "eth1"
        }`
      ),
    ...rtnetlink.neighbours(index).map(({ address, mac }) =>
      `neighbour ${formatIpv4(address)} ${formatMac(mac)}`
    ),
    ...rtnetlink.forwardingEntries(index).map(({ mac, remote }) =>
      `forward ${formatMac(mac)} ${formatIpv4(remote)}`
    ),
  ].toSorted();
}

const PROGRAMMED = [
  "forward 0a:00:00:00:00:05 192.0.2.12",
  "neighbour 10.1.5.0 0a:00:00:00:00:05",
  "route 10.1.5.0/24 10.1.5.0 flannel.1",
];

function deviceOf({ rtnetlink }: KernelWorld) {
  return rtnetlink.links().find(({ name }) => name === "flannel.1")!;
}

Deno.test("vxlan advertises its identifier and its hardware address as flannel does", () => {
  const backend = createVxlanBackend(kernelWorld().parts, OPTIONS);
  assertEquals(backend.advertise(), {
    backendType: "vxlan",
    backendData: { VNI: 1, VtepMAC: "0a:00:00:00:00:27" },
  });
});

Deno.test("vxlan makes the device that flannel makes, without outer checksums", async () => {
  const world = kernelWorld();
  const backend = createVxlanBackend(world.parts, OPTIONS);
  const overlay = await backend.start(world.context, signal);
  assertEquals(overlay, {
    deviceName: "flannel.1",
    mtuBytes: 1450 as never,
  });
  const device = deviceOf(world);
  assertEquals(
    [device.up, device.mtuBytes, device.alias, formatMac(device.mac)],
    [true, 1450, "loden:/coreos.com/network", "0a:00:00:00:00:27"],
  );
  assertEquals(world.rtnetlink.vxlanSettings(device.index), {
    vni: 1,
    underlayIndex: world.underlayIndex,
    local: parseIpv4("192.0.2.11"),
    port: 8472,
    learning: false,
    outerChecksum: false,
    groupPolicy: false,
  });
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
  await backend.stop();
});

Deno.test("vxlan takes the device's own address where the public one is not on the host", async () => {
  const world = kernelWorld();
  const backend = createVxlanBackend(world.parts, OPTIONS);
  const publicIp = parseIpv4("203.0.113.1")!;
  const underlay = { ...world.context.underlay, publicIp };
  await backend.start({ ...world.context, underlay }, signal);
  const { local } = world.rtnetlink.vxlanSettings(deviceOf(world).index)!;
  assertEquals(formatIpv4(local!), "192.0.2.11");
  await backend.stop();
});

Deno.test("vxlan programs a peer, follows its changes, and removes it", async () => {
  const world = kernelWorld();
  const backend = createVxlanBackend(world.parts, OPTIONS);
  await startWith(backend, world, [PEER]);
  assertEquals(programmed(world), PROGRAMMED);
  const moved = { ...PEER, publicIp: parseIpv4("192.0.2.13")! };
  await backend.apply({ added: [], changed: [moved], removed: [] });
  assertEquals(programmed(world)[0], "forward 0a:00:00:00:00:05 192.0.2.13");
  const backendData = { VtepMAC: "0a:00:00:00:00:55" };
  const remade = { ...moved, backendData };
  await backend.apply({ added: [], changed: [remade], removed: [] });
  assertEquals(programmed(world), [
    "forward 0a:00:00:00:00:55 192.0.2.13",
    "neighbour 10.1.5.0 0a:00:00:00:00:55",
    "route 10.1.5.0/24 10.1.5.0 flannel.1",
  ]);
  await backend.apply({ added: [], changed: [], removed: [remade] });
  assertEquals(programmed(world), []);
  await backend.stop();
});

Deno.test("vxlan refuses a peer whose value it cannot use, and serves the others", async () => {
  const bad = [
    undefined,
    null,
    {},
    { VtepMAC: "xx" },
    { VtepMAC: "00:11:22:33:44:55:66:77" },
    { VtepMAC: 7 },
    "text",
  ];
  const world = kernelWorld();
  const backend = createVxlanBackend(world.parts, OPTIONS);
  const peers = bad.map((data, number) =>
    peerOf(`10.1.${100 + number}.0/24`, "192.0.2.20", "vxlan", data)
  );
  await startWith(backend, world, [...peers, PEER]);
  assertEquals(programmed(world), PROGRAMMED);
  const { details, peers: served } = backend.status();
  assertEquals(served, 1);
  assertMatch(
    details!["not served: 10.1.104.0/24"]!,
    /VtepMAC of six bytes: current value is "00:11:22:33:44:55:66:77"$/,
  );
  await backend.stop();
});

Deno.test("vxlan with DirectRouting routes peers on the link without encapsulation", async () => {
  const world = kernelWorld();
  const backend = createVxlanBackend(world.parts, {
    ...OPTIONS,
    directRouting: true,
  });
  await startWith(backend, world, [PEER, FAR]);
  assertEquals(programmed(world), [
    "forward 0a:00:00:00:00:06 203.0.113.9",
    "neighbour 10.1.6.0 0a:00:00:00:00:06",
    "route 10.1.5.0/24 192.0.2.12 eth1",
    "route 10.1.6.0/24 10.1.6.0 flannel.1",
  ]);
  await backend.stop();
});

const FAULTS: Readonly<Record<string, (world: KernelWorld) => void>> = {
  "the device deleted": (world) =>
    world.rtnetlink.deleteLink(deviceOf(world).index),
  "the device set down": (world) =>
    world.rtnetlink.changeLink(deviceOf(world).index, { up: false }),
  "the device set down and up": (world) => {
    for (const up of [false, true]) {
      world.rtnetlink.changeLink(deviceOf(world).index, { up });
    }
  },
  "the hardware address changed": (world) =>
    world.rtnetlink.changeLink(deviceOf(world).index, {
      mac: parseMac("02:02:02:02:02:02")!,
    }),
  "the MTU changed": (world) =>
    world.rtnetlink.changeLink(deviceOf(world).index, { mtuBytes: 1400 }),
  "the address removed": (world) =>
    world.rtnetlink.removeAddress(deviceOf(world).index, {
      address: world.context.subnet.address,
      prefixLength: 32,
    }),
  "the forwarding database emptied": ({ rtnetlink }) =>
    rtnetlink.removeForwardingEntries(
      rtnetlink.links().flatMap(({ index }) =>
        rtnetlink.forwardingEntries(index)
      ),
    ),
  "the neighbours emptied": ({ rtnetlink }) =>
    rtnetlink.removeNeighbours(
      rtnetlink.links().flatMap(({ index }) => rtnetlink.neighbours(index)),
    ),
  "a peer's route removed": (world) =>
    assertEquals(removeRoute(world, PEER.subnet), true),
};

for (const [fault, inject] of Object.entries(FAULTS)) {
  Deno.test(`vxlan is as before after ${fault}`, async () => {
    const world = kernelWorld();
    const backend = createVxlanBackend(world.parts, OPTIONS);
    await startWith(backend, world, [PEER]);
    inject(world);
    world.monitor.tell("links", "neighbours");
    await world.clock.advance(100);
    const device = deviceOf(world);
    assertEquals(
      [device.up, device.mtuBytes, formatMac(device.mac)],
      [true, 1450, "0a:00:00:00:00:27"],
    );
    assertEquals(programmed(world), PROGRAMMED);
    await backend.stop();
  });
}

Deno.test("vxlan takes over flannel's device with its address, and removes what flannel left", async () => {
  const world = kernelWorld();
  const { rtnetlink } = world;
  const mac = parseMac("aa:bb:cc:dd:ee:0f")!;
  const { index } = rtnetlink.createVxlan({
    name: "flannel.1",
    vni: 1,
    underlayIndex: world.underlayIndex,
    local: world.context.underlay.address,
    port: 8472,
    learning: false,
    outerChecksum: true,
    groupPolicy: false,
    mac,
    mtuBytes: 1450,
  });
  rtnetlink.changeLink(index, { up: true });
  const gone = parseMac("aa:bb:cc:dd:ee:01")!;
  const { address } = peerOf("10.1.9.0/24", "192.0.2.19", "vxlan").subnet;
  rtnetlink.replaceNeighbours([{ interfaceIndex: index, address, mac: gone }]);
  rtnetlink.replaceForwardingEntries([
    { interfaceIndex: index, mac: gone, remote: parseIpv4("192.0.2.19")! },
  ]);
  rtnetlink.replaceRoute({
    destination: peerOf("10.1.9.0/24", "192.0.2.19", "vxlan").subnet,
    gateway: address,
    interfaceIndex: index,
    onlink: true,
  });
  const backend = createVxlanBackend(world.parts, OPTIONS);
  assertEquals(backend.advertise().backendData, {
    VNI: 1,
    VtepMAC: "aa:bb:cc:dd:ee:0f",
  });
  await startWith(backend, world, [PEER]);
  assertEquals(deviceOf(world).index, index);
  assertEquals(programmed(world), PROGRAMMED);
  await backend.stop();
});

Deno.test("vxlan makes a device again that has other settings", async () => {
  const world = kernelWorld();
  const first = createVxlanBackend(world.parts, OPTIONS);
  await startWith(first, world, [PEER]);
  await first.stop();
  const before = deviceOf(world).index;
  const second = createVxlanBackend(world.parts, { ...OPTIONS, port: 4789 });
  await startWith(second, world, [PEER]);
  const device = deviceOf(world);
  assertEquals(device.index === before, false);
  assertEquals(world.rtnetlink.vxlanSettings(device.index)!.port, 4789);
  assertEquals(programmed(world), PROGRAMMED);
  await second.stop();
});

Deno.test("vxlan takes no device of another program's", async () => {
  const foreignName = kernelWorld();
  foreignName.rtnetlink.addLink({ name: "flannel.1", kind: "bridge" });
  const foreignVni = kernelWorld();
  foreignVni.rtnetlink.createVxlan({
    ...OPTIONS,
    name: "vxlan-of-mine",
    underlayIndex: foreignVni.underlayIndex,
    local: foreignVni.context.underlay.address,
    outerChecksum: true,
    mtuBytes: 1450,
  });
  for (const world of [foreignName, foreignVni]) {
    const backend = createVxlanBackend(world.parts, OPTIONS);
    const error = await assertRejects(
      () => backend.start(world.context, signal),
      BackendStartError,
    );
    assertMatch(error.message, /^Cannot create the device flannel\.1: .*taken/);
    await backend.stop();
  }
});

Deno.test("vxlan removes its own device, and none of another program's", async () => {
  const world = kernelWorld();
  const backend = createVxlanBackend(world.parts, OPTIONS);
  await backend.start(world.context, signal);
  await backend.stop();
  world.rtnetlink.deleteLink(deviceOf(world).index);
  world.rtnetlink.addLink({ name: "flannel.1", kind: "bridge" });
  backend.remove!();
  assertEquals(deviceOf(world).kind, "bridge");
});

Deno.test("vxlan names the packets that only hosts may send, and the devices by which they are reached", async () => {
  const world = kernelWorld();
  const backend = createVxlanBackend(world.parts, OPTIONS);
  assertEquals(backend.underlayUse(), undefined);
  await startWith(backend, world, [PEER]);
  const { interfaceName } = world.context.underlay;
  assertEquals(backend.underlayUse(), {
    traffic: [{ protocol: 17, port: 8472 }],
    devices: [interfaceName],
  });
});

/** Whether the card computes inner checksums, after a start. */
async function txChecksumAfter(
  txChecksum: VxlanBackendOptions["txChecksum"],
  driver: string,
  isActive = true,
) {
  const world = kernelWorld();
  const feature = { active: isActive, requested: isActive, changeable: true };
  world.ethtool.plugIn("eth1", driver);
  world.ethtool.plugIn("flannel.1", "vxlan", {
    "tx-checksum-ip-generic": feature,
  });
  const backend = createVxlanBackend(world.parts, { ...OPTIONS, txChecksum });
  await startWith(backend, world, [PEER]);
  const active = () =>
    world.ethtool.features("flannel.1").get("tx-checksum-ip-generic")!.active;
  return { active, backend, world };
}

Deno.test("vxlan switches the card's inner checksums as the flag says; auto, for drivers that spoil them", async () => {
  const table = [
    ["auto", "virtio_net", true, true],
    // An administrator has switched it off.
    ["auto", "virtio_net", false, false],
    ["auto", "vmxnet3", true, false],
    ["on", "vmxnet3", false, true],
    ["off", "virtio_net", true, false],
  ] as const;
  for (const [choice, driver, before, after] of table) {
    const { active, backend } = await txChecksumAfter(choice, driver, before);
    assertEquals(active(), after, `${choice} ${driver} ${before}`);
    await backend.stop();
  }
});

Deno.test("vxlan sees the driver of the card below a VLAN, too", async () => {
  const world = kernelWorld();
  const card = world.rtnetlink.addLink({ name: "card", up: true });
  const vlan = world.rtnetlink.addLink({
    name: "card.7",
    kind: "vlan",
    peerIndex: card.index,
    up: true,
  });
  world.ethtool.plugIn("card", "vmxnet3");
  world.ethtool.plugIn("card.7", "802.1Q VLAN Support");
  world.ethtool.plugIn("flannel.1", "vxlan");
  const backend = createVxlanBackend(world.parts, OPTIONS);
  const { index, mac, name } = vlan;
  const { context } = world;
  await backend.start({
    ...context,
    underlay: {
      ...context.underlay,
      ...{ interfaceName: name, interfaceIndex: index, mac },
    },
  }, new AbortController().signal);
  assertEquals(
    backend.status().details!["inner checksums by the card"],
    "off (driver vmxnet3)",
  );
  await backend.stop();
});

Deno.test("vxlan says why the card computes no inner checksums, and keeps it so", async () => {
  const { active, backend, world } = await txChecksumAfter("auto", "vmxnet3");
  assertEquals(
    backend.status().details!["inner checksums by the card"],
    "off (driver vmxnet3)",
  );
  world.ethtool.setFeatures("flannel.1", { "tx-checksum-ip-generic": true });
  world.monitor.tell("links");
  await world.clock.advance(100);
  assertEquals(active(), false);
  await backend.stop();
});

Deno.test("vxlan keeps the hardware address of a device that appears before the start", async () => {
  const world = kernelWorld();
  const backend = createVxlanBackend(world.parts, OPTIONS);
  const mac = parseMac("aa:bb:cc:dd:ee:0f")!;
  world.rtnetlink.createVxlan({
    name: "flannel.1",
    vni: 1,
    underlayIndex: world.underlayIndex,
    local: world.context.underlay.address,
    port: 8472,
    learning: false,
    outerChecksum: true,
    groupPolicy: false,
    mac,
    mtuBytes: 1450,
  });
  await backend.start(world.context, signal);
  assertEquals(backend.advertise().backendData, {
    VNI: 1,
    VtepMAC: "aa:bb:cc:dd:ee:0f",
  });
  assertEquals(formatMac(deviceOf(world).mac), "aa:bb:cc:dd:ee:0f");
  await backend.stop();
});

Deno.test("vxlan leaves the device of another network alone, and takes one without an owner", async () => {
  const world = kernelWorld();
  const other = createVxlanBackend(world.parts, {
    ...OPTIONS,
    deviceAlias: "loden:/other/network",
  });
  await other.start(world.context, signal);
  await other.stop();
  const refused = createVxlanBackend(world.parts, OPTIONS);
  const error = await assertRejects(
    () => refused.start(world.context, signal),
    BackendStartError,
  );
  assertMatch(error.message, /another network \(loden:\/other\/network\)/);
  await refused.stop();
  const { alias, index } = deviceOf(world);
  assertEquals(alias, "loden:/other/network");
  world.rtnetlink.changeLink(index, { alias: "" });
  const backend = createVxlanBackend(world.parts, OPTIONS);
  await backend.start(world.context, signal);
  assertEquals(deviceOf(world).index, index);
  await backend.stop();
});

Deno.test("vxlan takes packets without encapsulation with DirectRouting only", async () => {
  for (const directRouting of [false, true]) {
    const world = kernelWorld();
    const options = { ...OPTIONS, directRouting };
    const backend = createVxlanBackend(world.parts, options);
    await startWith(backend, world, [PEER]);
    assertEquals(backend.directDevices(), directRouting ? ["eth1"] : []);
    await backend.stop();
  }
});
