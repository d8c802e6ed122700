/**
 * What a network shows whose packets the kernel carries by devices and routes of
 * its own. Packets cross, whatever is changed on a host comes right within a
 * second, and nothing is lost when the agent goes.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { after, before, describe, it } from "@std/testing/bdd";
import { loden } from "../rig/agent.ts";
import type { Agent } from "../rig/agent.ts";
import type { Container } from "../rig/container.ts";
import { Daemon } from "../rig/daemon.ts";
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
export const REPAIR_MS = 4_000;
/** For a virtual machine without hardware help. */
const READY_MS = 120_000;

/** A backend, and what is peculiar to it. */
export interface KernelBackendCase {
  readonly type: string;
  /** The config's `Backend`; its type alone by default. */
  readonly backend?: unknown;
  /** What a lease's value has behind the addresses. */
  readonly lease: RegExp;
  /** Of inner packets, on an underlay of 1500 bytes. */
  readonly mtuBytes: number;
  /** Changes to the first host, with `ip` or `bridge`. */
  readonly faults: Readonly<Record<string, readonly string[]>>;
  /** Further tests, by what they show. */
  readonly more?: Readonly<Record<string, (world: World) => Promise<void>>>;
}

/** A host of the network. */
export interface Member {
  readonly host: RigHost;
  agent: Agent;
  readonly container: Container;
}

/** A network of hosts with this backend. */
export class World implements AsyncDisposable {
  private constructor(
    readonly rig: Rig,
    readonly members: readonly Member[],
  ) {}

  static async start(backend: unknown, hosts = 2): Promise<World> {
    await using cleanup = new AsyncDisposableStack();
    const rig = cleanup.use(await Rig.create({ hosts }));
    await rig.startEtcd();
    await rig.publish({ Network: "10.1.0.0/16", Backend: backend });
    const members: Member[] = [];
    for (const host of rig.hosts) {
      // As Docker leaves it: what is not accepted is not forwarded.
      await host.namespace.run(["iptables", "-P", "FORWARD", "DROP"]);
      const agent = await rig.startAgent(host, {});
      await agent.ready(READY_MS);
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
    return this.endsOf(0, 1);
  }

  endsOf(from: number, to: number) {
    return {
      rig: this.rig,
      from: this.member(from).container,
      to: this.member(to).container,
    };
  }

  /** Starts an agent in the place of one that has ended. */
  async restart(member: Member): Promise<void> {
    member.agent[Symbol.dispose]();
    member.agent = await this.rig.startAgent(member.host, {});
    await member.agent.ready(READY_MS);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.rig[Symbol.asyncDispose]();
  }
}

/** The value of a lease: flannel's fields, then Loden's. */
export async function leaseValue(rig: Rig, key: string): Promise<string> {
  const options = ["--print-value-only"];
  return (await rig.etcd.ctl("get", ...options, `${SUBNETS}/${key}`)).trim();
}

/** Two hosts, their containers, and the tests of the module's text. */
export function kernelBackendSuite(
  { backend, faults, lease, more = {}, mtuBytes, type }: KernelBackendCase,
): void {
  describe(`the ${type} backend`, () => {
    let world: World;

    before(async () => {
      world = await World.start(backend ?? { Type: type });
    });
    after(async () => {
      await world?.[Symbol.asyncDispose]();
    });

    it("writes flannel's value into the lease, and the MTU into the files", async () => {
      for (const { agent } of world.members) {
        const { FLANNEL_MTU, FLANNEL_SUBNET } = await agent.subnetEnv();
        assertEquals(FLANNEL_MTU, String(mtuBytes));
        const key = FLANNEL_SUBNET!.replace(/\.1\/24$/, ".0-24");
        const value = await leaseValue(world.rig, key);
        assertMatch(
          value,
          /^\{"PublicIP":"[0-9.]+","PublicIPv6":null,"BackendType":"/,
        );
        assertMatch(value, lease);
      }
    });

    it("is explained, and nothing is accused", async () => {
      const { from, to } = world.ends;
      const { agent, host } = world.member(0);
      await using processes = new AsyncDisposableStack();
      for (const { namespace } of [from, to]) {
        // A container has a process; a namespace alone is none.
        processes.use(
          new Daemon({
            name: `the container ${namespace.name}`,
            command: [...namespace.commandPrefix, "sleep", "60"],
            logFile: `${world.rig.directory}/${namespace.name}.log`,
          }),
        );
      }
      await assertPings(from.namespace, to.address);
      await eventually(
        "no accusation",
        async () => {
          const { stdout } = await loden(host.namespace, [
            "explain",
            "--json",
            `--run-dir=${agent.files.runDirectory}`,
            `--state-dir=${agent.files.stateDirectory}`,
            from.address,
            to.address,
          ]);
          return JSON.parse(stdout).findings as Record<string, unknown>[];
        },
        (findings) =>
          findings.every(({ outcome }) => outcome === "ok") &&
          findings.some(({ side }) => side === "other host"),
      );
    });

    it("carries pings of every size, TCP and UDP", async () => {
      const { from, to } = world.ends;
      await assertPings(from.namespace, to.address);
      await assertPings(to.namespace, from.address, ["-s", "20000"]);
      const payload = String(mtuBytes - 28);
      await assertPings(from.namespace, to.address, [
        "-s",
        payload,
        "-M",
        "do",
      ]);
      await assertTcp(world.ends, 50);
      await assertUdpEcho(world.ends, [1, 512, mtuBytes - 28, 3000, 60000]);
    });

    for (const [fault, commands] of Object.entries(faults)) {
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

    for (const [what, test] of Object.entries(more)) {
      it(what, () => test(world));
    }

    it("loses nothing when the agent is killed and started again", async () => {
      const member = world.member(0);
      await using traffic = await SteadyTraffic.start(world.ends);
      member.agent.process.kill("SIGKILL");
      await member.agent.process.ended(5_000);
      await world.restart(member);
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
