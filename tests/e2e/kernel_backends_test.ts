/**
 * Networks whose packets the kernel carries by devices and routes of its own:
 * vxlan and host-gw. Packets cross, whatever is changed on a host comes right
 * within a second, and nothing is lost when the agent goes.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { after, before, describe, it } from "@std/testing/bdd";
import { loden } from "../rig/agent.ts";
import type { Agent } from "../rig/agent.ts";
import type { Container } from "../rig/container.ts";
import type { RigHost } from "../rig/host.ts";
import { Rig } from "../rig/rig.ts";
import { eventually, SUBNETS } from "./overlay.ts";
import { SteadyTraffic } from "./steady_traffic.ts";
import { assertPings, assertTcp, assertUdpEcho } from "./traffic.ts";

const PREFIX = "/coreos.com/network";
/**
 * A repair is done in a fraction of a second; the rest is for a busy machine. The
 * agent's slow look, every five seconds, must not be what does it.
 */
const REPAIR_MS = 4_000;

interface Member {
  readonly host: RigHost;
  agent: Agent;
  readonly container: Container;
}

/** A network of two hosts with this backend. */
class World implements AsyncDisposable {
  private constructor(
    readonly rig: Rig,
    readonly members: readonly Member[],
  ) {}

  static async start(backend: unknown): Promise<World> {
    await using cleanup = new AsyncDisposableStack();
    const rig = cleanup.use(await Rig.create({ hosts: 2 }));
    await rig.startEtcd();
    await rig.publish({ Network: "10.1.0.0/16", Backend: backend });
    const members: Member[] = [];
    for (const host of rig.hosts) {
      // As Docker leaves it: what is not accepted is not forwarded.
      await host.namespace.run(["iptables", "-P", "FORWARD", "DROP"]);
      const agent = await rig.startAgent(host, {});
      await agent.ready();
      const container = await host.addContainer(await agent.bridge());
      members.push({ host, agent, container });
    }
    cleanup.move();
    return new World(rig, members);
  }

  member(index: number): Member {
    return this.members[index]!;
  }

  get ends() {
    const [from, to] = this.members.map(({ container }) => container);
    return { rig: this.rig, from: from!, to: to! };
  }

  /** Runs `ip` on the first host. */
  ip(words: string): Promise<string> {
    const { namespace } = this.member(0).host;
    return namespace.run(["ip", ...words.split(" ")]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.rig[Symbol.asyncDispose]();
  }
}

/** Changes to the first host, with `ip` or `bridge`. */
const FAULTS: Readonly<Record<string, Readonly<Record<string, string[]>>>> = {
  vxlan: {
    "the device is deleted": ["ip link delete flannel.1"],
    "the device is set down": ["ip link set flannel.1 down"],
    "the device is set down and up": [
      "ip link set flannel.1 down",
      "ip link set flannel.1 up",
    ],
    "the device's address is removed": ["ip address flush dev flannel.1"],
    "the device's hardware address is changed": [
      "ip link set flannel.1 address 02:02:02:02:02:02",
    ],
    "the device's neighbours are removed": [
      "ip neighbour flush nud permanent dev flannel.1",
    ],
    "the forwarding database is emptied": [
      "bridge fdb flush dev flannel.1",
    ],
    "the peers' routes are removed": ["ip route flush dev flannel.1"],
    "the underlay is set down and up": [
      "ip link set eth0 down",
      "ip link set eth0 up",
    ],
  },
  "host-gw": {
    "the peers' routes are removed": ["ip route flush proto 76"],
    "the underlay is set down and up": [
      "ip link set eth0 down",
      "ip link set eth0 up",
    ],
  },
};

const MTUS: Readonly<Record<string, number>> = { vxlan: 1450, "host-gw": 1500 };

async function leaseValue(rig: Rig, key: string): Promise<string> {
  const options = ["--print-value-only"];
  return (await rig.etcd.ctl("get", ...options, `${SUBNETS}/${key}`)).trim();
}

for (const type of ["vxlan", "host-gw"]) {
  describe(`the ${type} backend`, () => {
    let world: World;

    before(async () => {
      world = await World.start({ Type: type });
    });
    after(async () => {
      await world?.[Symbol.asyncDispose]();
    });

    it("writes flannel's value into the lease, and the MTU into the files", async () => {
      for (const { agent } of world.members) {
        const { FLANNEL_MTU, FLANNEL_SUBNET } = await agent.subnetEnv();
        assertEquals(FLANNEL_MTU, String(MTUS[type]));
        const key = FLANNEL_SUBNET!.replace(/\.1\/24$/, ".0-24");
        const value = await leaseValue(world.rig, key);
        const data = type === "vxlan"
          ? /,"BackendData":\{"VNI":1,"VtepMAC":"[0-9a-f:]{17}"\},"LodenHostId":/
          : /"BackendType":"host-gw","LodenHostId":/;
        assertMatch(
          value,
          /^\{"PublicIP":"[0-9.]+","PublicIPv6":null,"BackendType":"/,
        );
        assertMatch(value, data);
      }
    });

    it("carries pings of every size, TCP and UDP", async () => {
      const { from, to } = world.ends;
      await assertPings(from.namespace, to.address);
      await assertPings(to.namespace, from.address, ["-s", "20000"]);
      const payload = String(MTUS[type]! - 28);
      await assertPings(from.namespace, to.address, [
        "-s",
        payload,
        "-M",
        "do",
      ]);
      await assertTcp(world.ends, 50);
      await assertUdpEcho(world.ends, [1, 512, MTUS[type]! - 28, 3000, 60000]);
    });

    for (const [fault, commands] of Object.entries(FAULTS[type]!)) {
      it(`is as before when ${fault}`, async () => {
        const { from, to } = world.ends;
        for (const command of commands) {
          await world.member(0).host.namespace.run(command.split(" "));
        }
        await eventually(
          `packets after ${fault}`,
          async () =>
            (await from.namespace.attempt(
              ["ping", "-n", "-c1", "-W1", to.address],
            )).stdout,
          (said) => said.includes(" 1 received"),
          REPAIR_MS,
        );
        // Nothing that others would have to learn again.
        await assertPings(to.namespace, from.address);
      });
    }

    it("loses nothing when the agent is killed and started again", async () => {
      const member = world.member(0);
      await using traffic = await SteadyTraffic.start(world.ends);
      member.agent.process.kill("SIGKILL");
      await member.agent.process.ended(5_000);
      member.agent[Symbol.dispose]();
      member.agent = await world.rig.startAgent(member.host, {});
      await member.agent.ready();
      await traffic.assertNothingLost();
    });

    it("is followed by a cleanup that leaves nothing", async () => {
      for (const { agent, host } of world.members) {
        assertEquals(await agent.stop(), 0);
        const { exitCode, stderr } = await loden(host.namespace, [
          "cleanup",
          `--run-dir=${agent.files.runDirectory}`,
          `--etcd-prefix=${PREFIX}`,
        ]);
        assertEquals(exitCode, 0, stderr);
        const links = await host.namespace.run(["ip", "link", "show"]);
        assert(!/flannel/.test(links), links);
        const routes = await host.namespace.run(["ip", "route", "show"]);
        assert(!/proto 76|unreachable/.test(routes), routes);
      }
    });
  });
}

Deno.test("the alloc backend leases a subnet, writes the files and leaves packets to others", async () => {
  await using rig = await Rig.create({ hosts: 1 });
  await rig.startEtcd();
  await rig.publish({
    Network: "10.1.0.0/16",
    Backend: { Type: "alloc" },
  });
  const host = rig.hosts[0]!;
  const agent = await rig.startAgent(host, {});
  await agent.ready();
  const { FLANNEL_MTU, FLANNEL_SUBNET } = await agent.subnetEnv();
  assertEquals(FLANNEL_MTU, "1500");
  const key = FLANNEL_SUBNET!.replace(/\.1\/24$/, ".0-24");
  assertMatch(
    await leaseValue(rig, key),
    /^\{"PublicIP":"[0-9.]+","PublicIPv6":null,"LodenHostId":/,
  );
  const links = await host.namespace.run(["ip", "link", "show"]);
  assert(!/flannel/.test(links), links);
});
