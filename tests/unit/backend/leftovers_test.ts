import { assertEquals } from "@std/assert";
import { backendOf } from "../../../backend/backends.ts";
import {
  findLeftovers,
  type LeftoverScope,
} from "../../../backend/leftovers.ts";
import { createHostGwBackend } from "../../../backend/host_gw/host_gw_backend.ts";
import { ROUTE_PROTOCOL } from "../../../backend/reconcile/kernel_state.ts";
import { parseCidr } from "../../../net/cidr.ts";
import { parseIpv4 } from "../../../net/ipv4.ts";
import { type KernelWorld, kernelWorld } from "./kernel_world.ts";

const ALIAS = "loden:/coreos.com/network";

const scope = (
  type: string,
  options: Record<string, unknown> = {},
): LeftoverScope => ({
  network: parseCidr("10.1.0.0/16")!,
  subnetLength: 24,
  deviceAlias: ALIAS,
  device: "flannel%d",
  present: [{ descriptor: backendOf(type), options }],
});

/** As flannel leaves it: a device, its address, a route to one host. */
function addVxlan(
  { rtnetlink }: KernelWorld,
  name: string,
  { alias = "", network = "10.1" } = {},
): void {
  const { index } = rtnetlink.addLink({ name, kind: "vxlan", up: true, alias });
  rtnetlink.addAddress(index, `${network}.27.0/32`);
  rtnetlink.addRoute({
    destination: parseCidr(`${network}.5.0/24`)!,
    gateway: parseIpv4(`${network}.5.0`)!,
    interfaceIndex: index,
  });
}

function addPeerRoute(
  { rtnetlink, underlayIndex }: KernelWorld,
  subnet: string,
  change: { protocol?: number; gateway?: string } = {},
): void {
  const { protocol = 3, gateway = "192.0.2.12" } = change;
  rtnetlink.addRoute({
    destination: parseCidr(subnet)!,
    gateway: parseIpv4(gateway)!,
    interfaceIndex: underlayIndex,
    protocol,
  });
}

const found = ({ rtnetlink }: KernelWorld, wanted: LeftoverScope) =>
  findLeftovers(rtnetlink, wanted)
    .map(({ fix, owner, what }) => `${owner}: ${what}: ${fix}`);

Deno.test("a device of flannel's vxlan is a leftover beside another backend", () => {
  const world = kernelWorld();
  addVxlan(world, "flannel.1");
  const left = [
    "flannel: device flannel.1 with one route: ip link delete flannel.1",
  ];
  assertEquals(found(world, scope("udp")), left);
  assertEquals(found(world, scope("host-gw")), left);
  assertEquals(found(world, scope("vxlan", { VNI: 2 })), left);
  // The backend takes it over.
  assertEquals(found(world, scope("vxlan")), []);
});

Deno.test("a device of another network, or of another program, is none", () => {
  const world = kernelWorld();
  addVxlan(world, "flannel.7", { network: "10.2" });
  addVxlan(world, "vxlan7");
  addVxlan(world, "flannel.8", { alias: "loden:/other" });
  assertEquals(found(world, scope("udp")), []);
});

Deno.test("Loden's own devices are told by their alias, also without a route", () => {
  const world = kernelWorld();
  world.rtnetlink.addLink({ name: "flannel.1", kind: "vxlan", alias: ALIAS });
  world.rtnetlink.createVethPair({
    name: "flannel0",
    peerName: "flannel0p",
    mac: new Uint8Array(6),
    peerMac: new Uint8Array(6),
    mtuBytes: 1472,
    peerMtuBytes: 65535,
    alias: ALIAS,
  });
  assertEquals(found(world, scope("udp")), [
    "loden: device flannel.1 with no routes: ip link delete flannel.1",
  ]);
  // Both ends of the pair are one leftover.
  assertEquals(found(world, scope("vxlan")), [
    "loden: device flannel0 with no routes: ip link delete flannel0",
  ]);
});

Deno.test("routes to hosts are leftovers of host-gw, told by protocol and shape", () => {
  const world = kernelWorld();
  addPeerRoute(world, "10.1.5.0/24");
  addPeerRoute(world, "10.1.6.0/24");
  addPeerRoute(world, "10.1.7.0/24", { protocol: ROUTE_PROTOCOL });
  // An administrator's.
  addPeerRoute(world, "10.1.8.0/24", { protocol: 4 });
  addPeerRoute(world, "10.1.128.0/17");
  addPeerRoute(world, "10.9.5.0/24");
  assertEquals(found(world, scope("udp")), [
    "loden: one route to other hosts, such as 10.1.7.0/24 via 192.0.2.12: " +
    "ip route flush root 10.1.0.0/16 proto 76",
    "flannel: 2 routes to other hosts, such as 10.1.5.0/24 via 192.0.2.12: " +
    "ip route flush root 10.1.0.0/16 proto boot",
  ]);
  assertEquals(found(world, scope("host-gw")), []);
  assertEquals(found(world, scope("vxlan", { DirectRouting: true })), []);
});

Deno.test("a leftover is removed with its routes", () => {
  const world = kernelWorld();
  addVxlan(world, "flannel.1");
  addPeerRoute(world, "10.1.6.0/24");
  for (
    const { remove } of findLeftovers(
      world.rtnetlink,
      scope("udp"),
    )
  ) remove(world.rtnetlink);
  assertEquals(found(world, scope("udp")), []);
});

Deno.test("beside alloc and extension, the unreachable route of a former backend is a leftover", async () => {
  const world = kernelWorld();
  const { context, parts, rtnetlink } = world;
  const backend = createHostGwBackend(parts);
  await backend.start(context, new AbortController().signal);
  await backend.apply({ added: [], changed: [], removed: [] });
  await backend.stop();
  backend.remove!();
  const left = [
    "loden: route unreachable 10.1.0.0/16: " +
    "ip route delete unreachable 10.1.0.0/16 metric 4278198272",
  ];
  assertEquals(found(world, scope("alloc")), left);
  assertEquals(found(world, scope("extension")), left);
  for (const type of ["udp", "vxlan", "host-gw", "ipip", "wireguard"]) {
    assertEquals(found(world, scope(type)), []);
  }
  const [route] = findLeftovers(rtnetlink, scope("alloc"));
  route!.remove(rtnetlink);
  assertEquals(found(world, scope("alloc")), []);
});
