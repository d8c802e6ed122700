import { assert, assertEquals, assertThrows } from "@std/assert";
import * as layout from "../../backend/udp/tun/layout.ts";
import { ERRNO, SystemCallError } from "../../linux/errno.ts";
import { libc } from "../../linux/libc.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { KernelPoller } from "../../linux/poll.ts";
import { KernelTunPort, openTun, type TunOptions } from "../../linux/tun.ts";
import { KernelUdpPort, openUdpSocket } from "../../linux/udp_socket.ts";
import { writeIovec } from "../support/gather.ts";
import { KernelWorld } from "../support/kernel_world.ts";
import { somePayload } from "../support/packet_builder.ts";
import { TUN_LAYOUT } from "../support/path_world.ts";
import { GSO_UDP_L4, segment } from "../support/slow_packets.ts";
import { setKernel } from "../rig/kernel_settings.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import {
  fromRemote,
  HOST,
  HOST_PORT,
  packetIn,
  REMOTE,
  tunPortContract,
  type TunWorld,
  write,
} from "./tun_port_contract.ts";

const HOST_DATA = 0x60000;
const HOST_IOVEC = 0x6800;
const HOST_BUFFER = 0xa0000;
const ip = (line: string) => runSync("ip", line.split(" "));

interface KernelTunWorld extends TunWorld {
  readonly descriptor: number;
  /** Like `hostSends`, to be segmented: `UDP_SEGMENT`. */
  hostSendsSegments(payload: Uint8Array, segmentBytes: number): void;
}

function open(options: Partial<TunOptions> = {}) {
  return openTun({
    name: "flannel%d",
    tcpOffload: true,
    udpOffload: true,
    ...options,
  });
}

function remove(name: string): void {
  using rtnetlink = new KernelRtnetlink();
  const link = rtnetlink.links().find((one) => one.name === name);
  if (link !== undefined) rtnetlink.deleteLink(link.index);
}

function kernelWorld(options: Partial<TunOptions> = {}): KernelTunWorld {
  const { memory } = new KernelWorld();
  const { descriptor, name } = open(options);
  ip(`link set ${name} up mtu 1472`);
  ip(`address add 10.1.1.0/32 dev ${name}`);
  ip(`route add 10.1.0.0/16 dev ${name}`);
  const socket = openUdpSocket({
    address: HOST,
    port: HOST_PORT,
    segment: true,
    gro: false,
    bufferBytes: 1 << 20,
  });
  const host = new KernelUdpPort(
    socket.descriptor,
    HOST_PORT,
    memory,
    layout.SYSTEM_CALL_AREA,
  );
  const hostSendsSegments = (payload: Uint8Array, segmentBytes: number) => {
    memory.bytes.set(payload, HOST_DATA);
    writeIovec(memory, HOST_IOVEC, HOST_DATA, payload.length);
    assertEquals(
      host.send(REMOTE, HOST_IOVEC, 1, segmentBytes),
      payload.length,
    );
  };
  return {
    memory,
    descriptor,
    port: new KernelTunPort(descriptor, memory, TUN_LAYOUT),
    hostSends: (payload) => hostSendsSegments(payload, 0),
    hostSendsSegments,
    hostReceives() {
      const payloads: Uint8Array[] = [];
      for (;;) {
        const bytes = host.receive(HOST_BUFFER, 0x10000);
        if (bytes < 0) return payloads;
        payloads.push(memory.bytes.slice(HOST_BUFFER, HOST_BUFFER + bytes));
      }
    },
    deleteDevice: () => remove(name),
    [Symbol.dispose]() {
      libc().close(socket.descriptor);
      libc().close(descriptor);
      remove(name);
    },
  };
}

function kernelTests(): void {
  Deno.test("KernelTunPort reads a super-packet whole where the device takes them", () => {
    using world = kernelWorld();
    const payload = somePayload(30_000);
    world.hostSendsSegments(payload, 1_000);
    const bytes = world.port.read(0);
    const { vnet, packet } = packetIn(world, 0, bytes);
    assertEquals(vnet.gsoType, GSO_UDP_L4);
    assertEquals(vnet.gsoBytes, 1_000);
    assertEquals(packet.length, 30_028);
    assertEquals(
      segment(vnet, packet).map((one) => one.slice(28).toHex()).join(""),
      payload.toHex(),
    );
  });

  Deno.test("KernelTunPort reads segments one by one where the device takes no super-packets", () => {
    using world = kernelWorld({ udpOffload: false });
    world.hostSendsSegments(somePayload(3_000), 1_000);
    for (let i = 0; i < 3; i++) assertEquals(world.port.read(0), 1_038);
    assertEquals(world.port.read(0), -ERRNO.EAGAIN);
  });

  Deno.test("deleting a device breaks its descriptor for poll", () => {
    using world = kernelWorld();
    const poller = new KernelPoller([world.descriptor]);
    assertEquals(poller.wait(0), 0);
    assertEquals(poller.broken(0), false);
    world.hostSends(somePayload(5));
    assertEquals(poller.wait(0), 1);
    assertEquals([poller.readable(0), poller.broken(0)], [true, false]);
    world.deleteDevice();
    assertEquals(poller.wait(0), 1);
    assertEquals(poller.broken(0), true);
    poller.watch(0, false);
    assertEquals(poller.wait(0), 0);
    poller.watch(0, true);
    assertEquals(poller.wait(0), 1);
  });

  Deno.test("a write to a device that is down is refused with EIO", () => {
    using world = kernelWorld();
    ip("link set flannel0 down");
    assertEquals(write(world, fromRemote(somePayload(5))), -ERRNO.EIO);
    assertEquals(world.port.read(0), -ERRNO.EAGAIN);
  });

  Deno.test("the device stays when its program ends, and is taken again by its name", () => {
    const first = open();
    assertEquals(first.name, "flannel0");
    ip("address add 10.1.1.0/32 dev flannel0");
    libc().close(first.descriptor);
    assert(ip("address show dev flannel0").includes("10.1.1.0/32"));
    const again = open({ name: "flannel0" });
    assertEquals(again, { ...first, descriptor: again.descriptor });
    const second = open();
    assertEquals(second.name, "flannel1");
    for (const { descriptor, name } of [again, second]) {
      libc().close(descriptor);
      remove(name);
    }
  });

  Deno.test("the device says which offloads it has", () => {
    for (
      const [tcpOffload, udpOffload] of [
        [true, true],
        [true, false],
        [false, true],
        [false, false],
      ] as const
    ) {
      const device = open({ tcpOffload, udpOffload });
      assertEquals(
        [device.tcpOffload, device.udpOffload],
        [tcpOffload, udpOffload],
      );
      libc().close(device.descriptor);
      remove(device.name);
    }
  });

  Deno.test("a device that another program holds is refused with a solution", () => {
    using _world = kernelWorld();
    const error = assertThrows(
      () => open({ name: "flannel0" }),
      SystemCallError,
    );
    assertEquals(error.errno, ERRNO.EBUSY);
    assertEquals(
      error.message,
      "Cannot attach to the TUN device flannel0: the kernel answered EBUSY",
    );
    assert(error.hint?.includes("--device"));
  });

  Deno.test("a device of another kind is refused with a solution, and nothing stays open", () => {
    ip("link add br7 type bridge");
    const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
    const before = descriptors();
    const error = assertThrows(() => open({ name: "br7" }), SystemCallError);
    assertEquals(error.errno, ERRNO.EINVAL);
    assert(error.hint?.includes("choose another --device"));
    assertEquals(descriptors(), before);
    ip("link delete br7");
  });
}

testInNamespace("KernelTunPort keeps its contract", import.meta.url, () => {
  // Otherwise the kernel asks for routers on each new device.
  setKernel({ "net/ipv6/conf/default/disable_ipv6": "1" });
  tunPortContract("KernelTunPort", kernelWorld);
  tunPortContract(
    "KernelTunPort without offloads",
    () => kernelWorld({ tcpOffload: false, udpOffload: false }),
  );
  kernelTests();
});
