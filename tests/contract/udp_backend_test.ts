/**
 * The UDP backend on the kernel: its device, routes and worker. The peer is a
 * socket on another loopback address.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import { BackendFailedError, BackendStartError } from "../../backend/errors.ts";
import * as layout from "../../backend/udp/tun/layout.ts";
import {
  UdpBackend,
  type UdpBackendOptions,
} from "../../backend/udp/udp_backend.ts";
import { libc } from "../../linux/libc.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { KernelUdpPort, openUdpSocket } from "../../linux/udp_socket.ts";
import { underlayMtu } from "../../net/mtu.ts";
import { writeIovec } from "../support/gather.ts";
import {
  address,
  KernelWorld,
  network,
  peer,
} from "../support/kernel_world.ts";
import { somePayload, udpPacket } from "../support/packet_builder.ts";
import { hasRightChecksums } from "../support/slow_packets.ts";
import { kernelParts } from "../../backend/udp/kernel_parts.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { CapturedLogs } from "../support/capture_logs.ts";
import { setKernel } from "../rig/kernel_settings.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";

const PORT = 8285;
const OWN = address("127.0.0.1");
const HOST_PORT = 2_000;
const REMOTE = "10.1.2.7";
const signal = new AbortController().signal;
const ip = (line: string) => runSync("ip", line.split(" "));
const PEERS = {
  added: [peer("10.1.2.0/24", "127.0.0.2")],
  changed: [],
  removed: [],
};

const OPTIONS: UdpBackendOptions = {
  port: PORT,
  device: "flannel%d",
  deviceAlias: "loden:/test",
  dataPath: "tun",
  receive: "auto",
  senderCheck: "strict",
  checksInterface: true,
  sourcePort: "auto",
  disabledFeatures: [],
};

const contextOf = (subnet: string, net = "10.1.0.0/16") => ({
  network: network(net),
  subnet: network(subnet),
  underlay: {
    interfaceName: "lo",
    interfaceIndex: 1,
    address: OWN,
    mtuBytes: underlayMtu(1_500),
    publicIp: OWN,
    mac: new Uint8Array(),
  },
});

/** Datagrams from and to one address and port. */
class Socket implements Disposable {
  readonly #descriptor: number;
  readonly #port: KernelUdpPort;
  readonly #memory = new KernelWorld().memory;

  constructor(own: string, port: number) {
    this.#descriptor = openUdpSocket({
      address: address(own),
      port,
      segment: true,
      gro: false,
      bufferBytes: 1 << 20,
    }).descriptor;
    this.#port = new KernelUdpPort(
      this.#descriptor,
      port,
      this.#memory,
      layout.SYSTEM_CALL_AREA,
    );
  }

  send(to: number, bytes: Uint8Array, segmentBytes = 0): number {
    this.#memory.bytes.set(bytes, layout.TX_BUFFER);
    writeIovec(this.#memory, layout.TX_IOV, layout.TX_BUFFER, bytes.length);
    return this.#port.send(to, layout.TX_IOV, 1, segmentBytes);
  }

  /** Waits for the next datagram. */
  async receive(): Promise<Uint8Array> {
    const deadline = performance.now() + 5_000;
    for (;;) {
      const bytes = this.#port.receive(layout.RX_BUFFER, 0x10000);
      if (bytes >= 0) {
        return this.#memory.bytes.slice(
          layout.RX_BUFFER,
          layout.RX_BUFFER + bytes,
        );
      }
      if (performance.now() > deadline) throw new Error("nothing arrived");
      await delay(1);
    }
  }

  [Symbol.dispose](): void {
    libc().close(this.#descriptor);
  }
}

const rtnetlink = new KernelRtnetlink();
const clock = new FakeClock();
/** As an agent makes them: once. */
const parts = kernelParts(rtnetlink, clock);
const deviceNames = () =>
  rtnetlink.links().map(({ name }) => name)
    .filter((name) => name.startsWith("flannel"));
const routes = () =>
  ip("-4 route show").trim().split("\n").map((line) =>
    line.trim().replace(/ linkdown/, "")
  ).filter((line) => line !== "").sort();
const addressesOf = (device: string) =>
  [...ip(`-4 -o address show dev ${device}`).matchAll(/inet (\S+)/g)]
    .map(([, found]) => found);

function backendWith(options: Partial<UdpBackendOptions> = {}): UdpBackend {
  return new UdpBackend(parts, { ...OPTIONS, ...options });
}

/** A started backend; its device goes with it. */
async function started(
  options: Partial<UdpBackendOptions> = {},
  subnet = "10.1.1.0/24",
  net = "10.1.0.0/16",
) {
  const backend = backendWith(options);
  await backend.start(contextOf(subnet, net), signal);
  await backend.apply(PEERS);
  return {
    backend,
    async [Symbol.asyncDispose]() {
      await backend.stop();
      cleanUp();
    },
  };
}

function cleanUp(): void {
  for (const link of rtnetlink.links()) {
    if (link.name.startsWith("flannel")) rtnetlink.deleteLink(link.index);
  }
  ip("-4 route flush table main");
}

/** One packet to the peer and one back. */
async function proveThatPacketsFlow(): Promise<void> {
  using remote = new Socket("127.0.0.2", PORT);
  using host = new Socket("10.1.1.0", HOST_PORT);
  const payload = somePayload(500, 1);
  host.send(address(REMOTE), payload);
  const onTheWire = await remote.receive();
  assertEquals(onTheWire.slice(12, 20).toHex(), "0a0101000a010207");
  assertEquals(onTheWire[8], 63);
  assert(hasRightChecksums(onTheWire));
  assertEquals(onTheWire.slice(28), payload);
  remote.send(OWN, fromRemote(somePayload(500, 2)));
  assertEquals(await host.receive(), somePayload(500, 2));
}

function fromRemote(payload: Uint8Array): Uint8Array {
  return udpPacket({
    source: address(REMOTE),
    destination: address("10.1.1.0"),
    sourcePort: HOST_PORT,
    destinationPort: HOST_PORT,
    payload,
  });
}

function backendTests(): void {
  runSync("ip", ["link", "set", "lo", "mtu", "1500"]);

  Deno.test("a started backend has flannel's device, address, MTU and route, and an unreachable one behind it", async () => {
    await using running = await started();
    const [link] = rtnetlink.links().filter(({ kind }) => kind === "tun");
    assertEquals(
      [link!.name, link!.alias, link!.mtuBytes, link!.up],
      ["flannel0", "loden:/test", 1_472, true],
    );
    assertEquals(addressesOf("flannel0"), ["10.1.1.0/32"]);
    assertEquals(routes(), [
      "10.1.0.0/16 dev flannel0",
      "unreachable 10.1.0.0/16 metric 4278198272",
    ]);
    assertEquals(running.backend.status().device, "flannel0");
  });

  Deno.test("packets flow to the peer and back, one hop on", async () => {
    await using running = await started();
    await proveThatPacketsFlow();
    const { counters } = running.backend.status();
    assertEquals([counters["tx.packets"], counters["rx.packets"]], [1, 1]);
  });

  Deno.test("super-packets of the host leave as datagrams, and datagrams arrive as super-packets", async () => {
    await using running = await started();
    using remote = new Socket("127.0.0.2", PORT);
    using host = new Socket("10.1.1.0", HOST_PORT);
    const payload = somePayload(20_000);
    host.send(address(REMOTE), payload, 1_000);
    for (let i = 0; i < 20; i++) {
      const packet = await remote.receive();
      assert(hasRightChecksums(packet));
      assertEquals(
        packet.slice(28),
        payload.slice(i * 1_000, (i + 1) * 1_000),
      );
    }
    const back = fromRemote(somePayload(1_000));
    remote.send(OWN, Uint8Array.from(Array(20).fill([...back]).flat()), 1_028);
    for (let i = 0; i < 20; i++) {
      assertEquals(await host.receive(), somePayload(1_000));
    }
    const { counters } = running.backend.status();
    assertEquals(
      [counters["tx.superPackets"], counters["rx.superPackets"]],
      [1, 1],
    );
  });

  Deno.test("a peer that is removed is reached no more, one that is added is", async () => {
    await using running = await started();
    await running.backend.apply({
      added: [],
      changed: [],
      removed: PEERS.added,
    });
    using host = new Socket("10.1.1.0", HOST_PORT);
    host.send(address(REMOTE), somePayload(5));
    const drops = () => running.backend.status().counters["tx.drop.noPeer"]!;
    for (let i = 0; i < 1_000 && drops() === 0; i++) await delay(1);
    assertEquals(drops(), 1);
    host[Symbol.dispose]();
    await running.backend.apply(PEERS);
    await proveThatPacketsFlow();
  });

  Deno.test("a port in use is found before a device is touched, and waiting is no cure", async () => {
    using _other = new Socket("127.0.0.1", PORT);
    const error = await assertRejects(
      () => backendWith().start(contextOf("10.1.1.0/24"), signal),
      BackendStartError,
      "Cannot listen on UDP 127.0.0.1:8285",
    );
    assertEquals(error.retryable, false);
    assert(error.hint?.includes("Backend.Port"));
    assertEquals(deviceNames(), []);
  });

  Deno.test("a second agent with the same device is refused, and the first goes on", async () => {
    await using _running = await started();
    const error = await assertRejects(
      () =>
        backendWith({ port: 9_000 }).start(contextOf("10.1.1.0/24"), signal),
      BackendStartError,
      "flannel0",
    );
    assert(error.hint?.includes("another program holds it"));
    await proveThatPacketsFlow();
  });

  Deno.test("a second agent with another network, alias and port has its own device", async () => {
    await using _running = await started();
    const second = backendWith({ port: 9_000, deviceAlias: "loden:/other" });
    const overlay = await second.start(
      contextOf("10.2.1.0/24", "10.2.0.0/16"),
      signal,
    );
    assertEquals(overlay, {
      deviceName: "flannel1",
      mtuBytes: overlay.mtuBytes,
    });
    await proveThatPacketsFlow();
    await second.stop();
  });

  /** What another program does to the device, and the agent must undo. */
  const CHANGES: readonly [string, readonly string[]][] = [
    ["set down", ["link set flannel0 down"]],
    ["set down and up", ["link set flannel0 down", "link set flannel0 up"]],
    ["given another MTU", ["link set flannel0 mtu 1300"]],
    ["robbed of its address", ["address flush dev flannel0"]],
    ["robbed of its route", ["route delete 10.1.0.0/16 dev flannel0"]],
    ["robbed of what is behind it", [
      "route delete unreachable 10.1.0.0/16 metric 4278198272",
    ]],
  ];
  for (const [what, lines] of CHANGES) {
    Deno.test(`a device that is ${what} is restored within five seconds`, async () => {
      using logs = new CapturedLogs();
      await using _running = await started();
      for (const line of lines) ip(line);
      await clock.advance(5_000);
      assertEquals(logs.events("backend.device-mended"), [{
        event: "backend.device-mended",
        device: "flannel0",
        mended: ["device"],
      }]);
      assertEquals(routes(), [
        "10.1.0.0/16 dev flannel0",
        "unreachable 10.1.0.0/16 metric 4278198272",
      ]);
      await proveThatPacketsFlow();
      await clock.advance(60_000);
      assertEquals(logs.events("backend.device-mended").length, 1);
    });
  }

  Deno.test("a device that is deleted makes the backend fail, and another starts in its place", async () => {
    const backend = backendWith();
    await backend.start(contextOf("10.1.1.0/24"), signal);
    ip("link delete flannel0");
    await assertRejects(() => backend.failed, BackendFailedError, "flannel0");
    await backend.stop();
    await using _again = await started();
    await proveThatPacketsFlow();
  });

  Deno.test("after a stop the device stays for the next agent, and packets leak nowhere when it goes", async () => {
    const backend = backendWith();
    await backend.start(contextOf("10.1.1.0/24"), signal);
    await backend.stop();
    await backend.failed;
    assertEquals(deviceNames(), ["flannel0"]);
    ip("link delete flannel0");
    assertEquals(routes(), ["unreachable 10.1.0.0/16 metric 4278198272"]);
    cleanUp();
  });

  Deno.test("the device of an earlier agent is taken over and corrected: address, routes, MTU", async () => {
    const former = backendWith();
    await former.start(contextOf("10.9.4.0/24", "10.9.0.0/16"), signal);
    await former.stop();
    ip("link set flannel0 mtu 1300");
    ip("address add 10.9.4.1/24 dev flannel0");
    await using _running = await started({ device: "flannel%d" });
    assertEquals(deviceNames(), ["flannel0"]);
    assertEquals(addressesOf("flannel0"), ["10.1.1.0/32"]);
    assertEquals(routes(), [
      "10.1.0.0/16 dev flannel0",
      "unreachable 10.1.0.0/16 metric 4278198272",
    ]);
    await proveThatPacketsFlow();
  });

  Deno.test("starting and stopping leaves no descriptor open", async () => {
    const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
    const cycle = async () => {
      await using _running = await started();
    };
    await cycle();
    const before = descriptors();
    await cycle();
    await cycle();
    assertEquals(descriptors(), before);
  });

  Deno.test("while peers change again and again, no packet misses its peer", async () => {
    await using running = await started({}, "10.1.1.0/24", "10.0.0.0/8");
    using host = new Socket("10.1.1.0", HOST_PORT);
    const changes: Promise<void>[] = [];
    const rounds = 30;
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < 20; i++) host.send(address(REMOTE), somePayload(9));
      for (let change = 0; change < 4; change++) {
        // A /28 in a /8 makes a table of 4 MiB, which takes long to write.
        changes.push(running.backend.apply({
          added: [peer("10.200.0.0/28", `127.0.1.${change}`)],
          changed: [],
          removed: [],
        }));
      }
      await delay(1);
    }
    await Promise.all(changes);
    const sent = () => running.backend.status().counters["tx.packets"]!;
    for (let i = 0; i < 1_000 && sent() < rounds * 20; i++) await delay(1);
    const { counters } = running.backend.status();
    assertEquals(
      [counters["tx.packets"], counters["tx.drop.noPeer"]],
      [rounds * 20, 0],
    );
  });

  Deno.test("peers that change many times at once end as the last change says", async () => {
    await using running = await started();
    const changes = Array.from({ length: 30 }, (_, i) =>
      running.backend.apply({
        added: [],
        changed: [peer("10.1.2.0/24", i === 29 ? "127.0.0.2" : "127.0.0.9")],
        removed: [],
      }));
    await Promise.all(changes);
    await proveThatPacketsFlow();
  });
}

testInNamespace("UdpBackend on the kernel", import.meta.url, () => {
  // Otherwise the kernel asks for routers on each new device.
  setKernel({ "net/ipv6/conf/default/disable_ipv6": "1" });
  backendTests();
});
