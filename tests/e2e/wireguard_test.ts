/**
 * A network whose packets the kernel encrypts: three hosts. Whatever is changed on
 * a host comes right within a second, and nothing ever crosses the underlay in
 * clear.
 *
 * Where the kernel has no WireGuard, the agent says so, and still sends nothing in
 * clear.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { after, before, describe, it } from "@std/testing/bdd";
import { delay } from "@std/async/delay";
import type { Container } from "../rig/container.ts";
import { Daemon } from "../rig/daemon.ts";
import type { NetNamespace } from "../rig/namespace.ts";
import { Rig, SWITCH_ADDRESS } from "../rig/rig.ts";
import { hasLinkKind } from "../support/link_kind.ts";
import { leaseValue, REPAIR_MS, World } from "./kernel_backend_suite.ts";
import { eventually } from "./overlay.ts";
import { assertPings, assertTcp, assertUdpEcho } from "./traffic.ts";
import { PSK, wireguard, WIREGUARD_DEVICE as DEVICE } from "./wireguard.ts";

const PATIENCE_MS = 60_000;
const MTU = 1420;
/** In the data of pings: the underlay must not show it. */
const PATTERN = "c0ffee0123456789abcdef5ec2e7";

/** Changes to the first host. */
const FAULTS: Readonly<Record<string, readonly string[]>> = {
  "the device is deleted": [`ip link delete ${DEVICE}`],
  "the device is set down": [`ip link set ${DEVICE} down`],
  "the device is set down and up": [
    `ip link set ${DEVICE} down`,
    `ip link set ${DEVICE} up`,
  ],
  "the device's address is removed": [`ip address flush dev ${DEVICE}`],
  "the peers' routes are removed": [`ip route flush dev ${DEVICE}`],
  "all routes of Loden are removed": ["ip route flush proto 76"],
  "the underlay is set down and up": [
    "ip link set eth0 down",
    "ip link set eth0 up",
  ],
};

/** Packets of a device, in a file. */
class Capture implements AsyncDisposable {
  readonly #path: string;
  readonly #daemon: Daemon;

  private constructor(path: string, daemon: Daemon) {
    this.#path = path;
    this.#daemon = daemon;
  }

  static async start(
    namespace: NetNamespace,
    device: string,
    directory: string,
  ): Promise<Capture> {
    const name = crypto.randomUUID();
    const path = `${directory}/${name}.pcap`;
    const daemon = new Daemon({
      name: `tcpdump on ${device}`,
      command: [
        ...namespace.commandPrefix,
        ...["tcpdump", "-Z", "root", "-U", "-n", "-i", device, "-w", path],
      ],
      env: {},
      logFile: `${directory}/${name}.log`,
    });
    await daemon.untilLogged(/listening on/, 20_000);
    return new Capture(path, daemon);
  }

  /** Ends it. */
  async finish(): Promise<Uint8Array> {
    // Packets wait in the kernel until its buffer is handed over.
    await delay(2_000);
    await this.#daemon.stop();
    return await Deno.readFile(this.#path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon.stop();
  }
}

function includes(bytes: Uint8Array, part: Uint8Array): boolean {
  for (let at = bytes.indexOf(part[0]!); at >= 0;) {
    if (part.every((byte, offset) => bytes[at + offset] === byte)) return true;
    at = bytes.indexOf(part[0]!, at + 1);
  }
  return false;
}

const readable = Uint8Array.fromHex(PATTERN);

function testWireguard(): void {
  let world: World;

  before(async () => {
    world = await World.start({ Type: "wireguard", PSK }, 3);
  });
  after(async () => {
    await world?.[Symbol.asyncDispose]();
  });

  it("writes flannel's value into the lease, and the MTU into the files", async () => {
    for (const { agent, host } of world.members) {
      const { FLANNEL_MTU, FLANNEL_SUBNET } = await agent.subnetEnv();
      assertEquals(FLANNEL_MTU, String(MTU));
      const key = FLANNEL_SUBNET!.replace(/\.1\/24$/, ".0-24");
      const value = await leaseValue(world.rig, key);
      const { listenPort, publicKey } = await wireguard(host, "show");
      assertEquals(listenPort, 51820);
      const expected = `{"PublicIP":"${host.address}","PublicIPv6":null,` +
        `"BackendType":"wireguard","BackendData":{"PublicKey":"${publicKey}",` +
        `"Port":51820},"LodenHostId":`;
      assertEquals(value.slice(0, expected.length), expected);
    }
  });

  it("carries pings of every size, TCP and UDP between all hosts", async () => {
    for (const [from, to] of [[0, 1], [1, 2], [2, 0]] as const) {
      const ends = world.endsOf(from, to);
      await assertPings(ends.from.namespace, ends.to.address);
      await assertPings(
        ends.from.namespace,
        ends.to.address,
        ["-s", String(MTU - 28), "-M", "do"],
      );
      await assertPings(ends.to.namespace, ends.from.address, ["-s", "20000"]);
    }
    await assertTcp(world.ends, 10);
    await assertUdpEcho(world.ends, [1, 512, MTU - 28, 3000, 60000]);
  });

  it("shows its sessions in the status", async () => {
    const { backend } = await world.member(0).agent.status();
    assertEquals(backend!.dataPath, "kernel WireGuard");
    assertEquals(backend!.details!.sessions, "2 of 2 peers");
    assertEquals(backend!.details!["preshared key"], "yes");
  });

  /**
   * From the first host and to it: the others' kernels would miss the lost session
   * after 15 seconds.
   */
  const isRepaired = async (fault: string) => {
    const [first, ...others] = world.members.map(({ container }) => container);
    const answers = async (from: Container, to: Container) =>
      (await from.namespace.attempt(
        ["ping", "-n", "-c1", "-W1", to.address],
      )).stdout.includes(" 1 received");
    await eventually(
      `packets after ${fault}`,
      async () => ({
        out: await answers(first!, others[0]!),
        in: await answers(others[1]!, first!),
      }),
      (arrived) => arrived.out && arrived.in,
      REPAIR_MS,
    );
    for (const other of others) {
      await assertPings(other.namespace, first!.address);
    }
  };

  for (const [fault, commands] of Object.entries(FAULTS)) {
    it(`is as before when ${fault}`, async () => {
      const { namespace } = world.member(0).host;
      for (const command of commands) await namespace.run(command.split(" "));
      await isRepaired(fault);
    });
  }

  it("is as before when the peers are removed", async () => {
    await wireguard(world.member(0).host, "clear");
    await isRepaired("the peers are removed");
  });

  it("is as before when another peer gets all addresses", async () => {
    const { host } = world.member(0);
    await wireguard(host, "add");
    await isRepaired("another peer gets all addresses");
    assertEquals((await wireguard(host, "show")).peers.length, 2);
  });

  it("sends nothing in clear, whatever happens to the device", async () => {
    const { from, to } = world.ends;
    const { namespace } = world.member(0).host;
    const { directory } = world.rig;
    const start = () => Capture.start(namespace, "eth0", directory);
    const pings = ["-c", "3", "-p", PATTERN];
    // What is in clear is found.
    await using plain = await start();
    await from.namespace.run(["ping", ...pings, SWITCH_ADDRESS]);
    assert(includes(await plain.finish(), readable), "the capture works");
    await using capture = await start();
    const stream = new Daemon({
      name: "pings in clear",
      command: [
        ...from.namespace.commandPrefix,
        ...["ping", "-n", "-i", "0.01", "-p", PATTERN, to.address],
      ],
      env: {},
      logFile: `${directory}/clear.log`,
    });
    await using _stream = {
      [Symbol.asyncDispose]: () => stream.stop().then(() => {}),
    };
    for (let round = 0; round < 10; round++) {
      await namespace.run(["ip", "link", "delete", DEVICE]);
      await delay(300);
      // It may not be there yet.
      await namespace.attempt(["ip", "link", "set", DEVICE, "down"]);
      await delay(300);
    }
    // And for as long as no agent repairs it.
    const member = world.member(0);
    assertEquals(await member.agent.stop(), 0);
    await namespace.run(["ip", "link", "delete", DEVICE]);
    await delay(2_000);
    await world.restart(member);
    await isRepaired("the device was deleted without an agent");
    const bytes = await capture.finish();
    assert(bytes.length > 10_000, "something was sent");
    assertEquals(includes(bytes, readable), false);
  });
}

function testAbsence(): void {
  it("says what is missing, and keeps the network closed", async () => {
    await using rig = await Rig.create({ hosts: 1 });
    await rig.startEtcd();
    await rig.publish({
      Network: "10.1.0.0/16",
      Backend: { Type: "wireguard" },
    });
    const host = rig.hosts[0]!;
    const agent = await rig.startAgent(host, {});
    await agent.process.untilLogged(
      /must have the module wireguard/,
      PATIENCE_MS,
    );
    const { ready, warnings } = await agent.status();
    assertEquals(ready, false);
    const [warning] = warnings.filter(({ code }) =>
      code === "data-path.not-started"
    );
    assertMatch(
      warning!.text,
      /the kernel must have the module wireguard \(modprobe wireguard; /,
    );
    const routes = await host.namespace.run(["ip", "route", "show"]);
    assertMatch(
      routes,
      /^unreachable 10\.1\.0\.0\/16 proto 76 metric 4278198272/m,
    );
    assertEquals(await agent.stop(), 0);
  });
}

// On a kernel without WireGuard: deno task test:kernels 6.12 tests/e2e/wireguard_test.ts
if (hasLinkKind("wireguard")) describe("the wireguard backend", testWireguard);
else {describe(
    "the wireguard backend without WireGuard in the kernel",
    testAbsence,
  );}
