/**
 * A running network changes its backend: the hosts follow the config, each at its
 * own pace, and packets go on between all of them.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import { after, before, describe, it } from "@std/testing/bdd";
import type { Agent } from "../rig/agent.ts";
import { loden } from "../rig/agent.ts";
import type { Container } from "../rig/container.ts";
import type { RigHost } from "../rig/host.ts";
import { Rig } from "../rig/rig.ts";
import { eventually, SUBNETS } from "./overlay.ts";
import { hasLinkKind } from "../support/link_kind.ts";
import { Daemon } from "../rig/daemon.ts";
import { lostOf, SteadyTraffic } from "./steady_traffic.ts";
import { assertPings, untilAnswered } from "./traffic.ts";

const CHANGE_MS = 60_000;
/** Also in a virtual machine. */
const READY_MS = 120_000;
/** A former backend lingers for half a minute. */
const END_MS = 60_000;

interface Member {
  readonly host: RigHost;
  readonly agent: Agent;
  readonly container: Container;
}

async function join(rig: Rig, host: RigHost): Promise<Member> {
  // As Docker leaves it: what is not accepted is not forwarded.
  await host.namespace.run(["iptables", "-P", "FORWARD", "DROP"]);
  const agent = await rig.startAgent(host, {});
  await agent.ready(READY_MS);
  const container = await host.addContainer(await agent.bridge());
  return { host, agent, container };
}

/** One after the other: a virtual machine starts no three at once in time. */
async function joinAll(rig: Rig): Promise<readonly Member[]> {
  const members: Member[] = [];
  for (const host of rig.hosts) members.push(await join(rig, host));
  return members;
}

const config = (type: string) => ({
  Network: "10.1.0.0/16",
  Backend: { Type: type },
});

/** The backends that the leases name, by the hosts' addresses. */
async function backends(rig: Rig): Promise<Record<string, string>> {
  const values = await rig.etcd.ctl(
    "get",
    "--prefix",
    "--print-value-only",
    SUBNETS,
  );
  return Object.fromEntries(
    values.split("\n").filter((line) => line.startsWith("{")).map((line) => {
      const { BackendType = "udp", PublicIP } = JSON.parse(line);
      return [PublicIP, BackendType];
    }),
  );
}

async function untilNamed(
  rig: Rig,
  members: readonly Member[],
  type: string,
): Promise<void> {
  await eventually(
    `${type} in the leases`,
    () => backends(rig),
    (named) => members.every(({ host }) => named[host.address] === type),
    CHANGE_MS,
  );
}

describe("a change of backend", () => {
  let rig: Rig;
  let members: readonly Member[];

  before(async () => {
    rig = await Rig.create({ hosts: 3 });
    await rig.startEtcd();
    await rig.publish(config("udp"));
    members = await joinAll(rig);
    for (const from of members) {
      for (const to of members) {
        if (from === to) continue;
        await untilAnswered(from.container.namespace, to.container.address);
      }
    }
  });
  after(async () => {
    await rig?.[Symbol.asyncDispose]();
  });

  for (
    const [from, to] of [
      ["udp", "vxlan"],
      ["vxlan", "host-gw"],
      ["host-gw", "udp"],
    ] as const
  ) {
    it(`from ${from} to ${to} loses no packet, while one host is late`, async () => {
      const [first, second, late] = members;
      await using cleanup = new AsyncDisposableStack();
      const pairs = [[first, second], [second, late], [late, first]] as const;
      const streams: SteadyTraffic[] = [];
      for (const [a, b] of pairs) {
        streams.push(cleanup.use(
          await SteadyTraffic.start({
            rig,
            from: a!.container,
            to: b!.container,
          }, 0.02),
        ));
      }
      late!.agent.process.kill("SIGSTOP");
      try {
        await rig.publish(config(to));
        await untilNamed(rig, [first!, second!], to);
        // Both have changed, and reach the late one by the former backend.
        for (const stream of streams) {
          assertEquals((await stream.soFar()).lost, []);
        }
      } finally {
        late!.agent.process.kill("SIGCONT");
      }
      await untilNamed(rig, members, to);
      for (const stream of streams) {
        assertEquals((await stream.soFar()).lost, []);
      }
      for (const stream of streams) await stream.assertNothingLost();
      for (const { agent } of members) {
        const { backend } = await agent.status();
        assertEquals(backend?.type, to);
      }
    });
  }

  it("removes the former backends when no lease names them any more", async () => {
    for (const { host } of members) {
      await eventually(
        `the end of the change on ${host.address}`,
        () => host.namespace.run(["ip", "-o", "link"]),
        (links) => !links.includes("flannel.1") && links.includes("flannel0"),
        END_MS,
      );
      const routes = await eventually(
        `the end of host-gw's routes on ${host.address}`,
        () =>
          host.namespace.run(["ip", "route", "show", "root", "10.1.0.0/16"]),
        (text) => !text.includes("via 192.0.2."),
        END_MS,
      );
      assertMatch(routes, /unreachable 10\.1\.0\.0\/16/);
    }
    const [first, second] = members;
    await assertPings(
      first!.container.namespace,
      second!.container.address,
    );
  });
});

Deno.test("what flannel's vxlan has left is named, and removed when told so", async () => {
  await using rig = await Rig.create({ hosts: 2 });
  await rig.startEtcd();
  await rig.publish(config("udp"));
  const [host, other] = rig.hosts;
  const peer = await join(rig, other!);
  const { FLANNEL_SUBNET } = await peer.agent.subnetEnv();
  const theirs = FLANNEL_SUBNET!.replace(/\.1\/24$/, ".0");
  // As flannel leaves it (see the captures of a change from vxlan to udp).
  await host!.namespace.ip([
    "link add flannel.1 type vxlan id 1 dev eth0 dstport 8472 nolearning",
    "address add 10.1.200.0/32 dev flannel.1",
    "link set flannel.1 up",
    `route add ${theirs}/24 via ${theirs} dev flannel.1 onlink`,
  ]);
  const dryRun = await loden(host!.namespace, [
    "--dry-run",
    `--etcd-endpoints=${rig.etcdEndpoint}`,
    "--iface=eth0",
  ]);
  assertMatch(dryRun.stdout, /note: .*device flannel\.1 with one route/);
  const put = await loden(host!.namespace, [
    "config",
    "put",
    `--etcd-endpoints=${rig.etcdEndpoint}`,
    JSON.stringify({ ...config("udp"), SubnetMin: "10.1.1.0" }),
  ]);
  assertEquals(put.exitCode, 0, put.stderr);
  assertMatch(put.stderr, /device flannel\.1 with one route/);
  const before = await rig.startAgent(host!, {});
  await before.ready(READY_MS);
  const { warnings } = await before.status();
  const found = warnings.find(({ code }) => code === "network.leftovers");
  assertMatch(found?.text ?? "", /flannel\.1 .*--take-over-devices/);
  assertEquals(await before.stop(), 0);
  before[Symbol.dispose]();
  const agent = await rig.startAgent(host!, { flags: ["--take-over-devices"] });
  await agent.ready(READY_MS);
  assertEquals((await agent.status()).warnings.map(({ code }) => code), []);
  const links = await host!.namespace.run(["ip", "-o", "link"]);
  assert(!links.includes("flannel.1"), links);
  const container = await host!.addContainer(await agent.bridge());
  await untilAnswered(container.namespace, peer.container.address);
});

const PING_SECONDS = 0.02;

/** Two hosts by vxlan, whose pings go on. */
async function pinging(rig: Rig): Promise<{
  readonly members: readonly Member[];
  readonly pings: Daemon;
}> {
  await rig.startEtcd();
  await rig.publish(config("vxlan"));
  const members = await joinAll(rig);
  const [from, to] = members.map(({ container }) => container);
  await untilAnswered(from!.namespace, to!.address);
  const pings = new Daemon({
    name: "pings",
    command: [
      ...from!.namespace.commandPrefix,
      ...["ping", "-n", `-i${PING_SECONDS}`, to!.address],
    ],
    env: { LC_ALL: "C" },
    logFile: `${rig.directory}/pings.log`,
  });
  return { members, pings };
}

if (hasLinkKind("wireguard")) {
  Deno.test("a change to wireguard sends nothing in clear, and costs the time between the hosts' changes", async () => {
    await using rig = await Rig.create({ hosts: 2 });
    const { members, pings } = await pinging(rig);
    await using _pings = pings;
    const [first, late] = members;
    // Two seconds of pings, as far as they leave the first host in clear.
    const inClear = async () => {
      const { stdout } = await first!.host.namespace.attempt([
        ...["timeout", "2", "tcpdump", "-Z", "root", "-l", "-n", "-Q", "out"],
        ...["-i", "eth0", "udp port 8472 or net 10.1.0.0/16"],
      ]);
      return stdout.trim();
    };
    assertMatch(await inClear(), /\.8472: /);
    late!.agent.process.kill("SIGSTOP");
    await rig.publish(config("wireguard"));
    await untilNamed(rig, [first!], "wireguard");
    assertEquals(await inClear(), "");
    late!.agent.process.kill("SIGCONT");
    const resumedAtMs = performance.now();
    await untilNamed(rig, members, "wireguard");
    const [from, to] = members.map(({ container }) => container);
    await untilAnswered(from!.namespace, to!.address);
    const outageMs = performance.now() - resumedAtMs;
    console.log(`packets again ${Math.round(outageMs)} ms after the last host`);
    assert(outageMs < END_MS, `${outageMs} ms`);
    for (const { host } of members) {
      const links = await host.namespace.run(["ip", "-o", "link"]);
      assert(!links.includes("flannel.1"), links);
    }
  });
} else {
  Deno.test("a change to wireguard where the kernel has none leaves the former backend, and no packet is lost", async () => {
    await using rig = await Rig.create({ hosts: 2 });
    const { members, pings } = await pinging(rig);
    await using _pings = pings;
    await rig.publish(config("wireguard"));
    for (const { agent } of members) {
      await eventually(
        "the reason",
        async () => (await agent.status()).warnings,
        (warnings) =>
          warnings.some(({ code, text }) =>
            // Without a list of modules, only the start shows it.
            ["config.refused", "data-path.not-started"].includes(code) &&
            text.includes("wireguard")
          ),
      );
      assertEquals((await agent.status()).backend?.type, "vxlan");
    }
    await delay(1_000);
    assertEquals(lostOf(pings.log()), []);
    await rig.publish(config("vxlan"));
    for (const { agent } of members) {
      await eventually(
        "the end of the refusal",
        async () => (await agent.status()).warnings,
        (warnings) => warnings.length === 0,
      );
    }
    assertEquals(lostOf(pings.log()), []);
  });
}
