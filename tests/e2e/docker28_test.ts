/**
 * The agent beside a real Docker 28, which drops what comes from other hosts for
 * a container's own address.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { type Agent, loden } from "../rig/agent.ts";
import { Docker28 } from "../rig/docker28.ts";
import { Rig } from "../rig/rig.ts";
import {
  arriving,
  type DockerMember,
  neighbourOf,
  NO_HOSTS,
  reach,
} from "../support/docker28_world.ts";
import { eventually } from "./overlay.ts";
import { assertPings, untilAnswered } from "./traffic.ts";

/** A backend, and what its agents are told. */
interface Case {
  readonly name: string;
  readonly backend: { readonly Type: string };
  readonly flags?: readonly string[];
  /** Whether packets of peers arrive without encapsulation. */
  readonly direct?: boolean;
}

const CASES: readonly Case[] = [
  {
    name: "udp, user space",
    backend: { Type: "udp" },
    flags: ["--datapath=tun"],
  },
  {
    name: "udp, kernel",
    backend: { Type: "udp" },
    flags: ["--datapath=ebpf"],
  },
  { name: "vxlan", backend: { Type: "vxlan" } },
  { name: "host-gw", backend: { Type: "host-gw" }, direct: true },
];

for (const each of CASES) {
  Deno.test(`${each.name}: Docker 28 lets containers of other hosts in, and no stranger`, async () => {
    await using world = await DockerWorld.start(each);
    const { rig } = world;
    const [first, second] = [world.member(0), world.member(1)];
    assertMatch(await first.docker.version(), /^28\./);
    for (const [from, to] of [[first, second], [second, first]] as const) {
      const { namespace } = from.container;
      const { address } = to.container;
      await untilAnswered(namespace, address);
      await assertPings(namespace, address);
      assertEquals(await reach(namespace, to), {
        published: true,
        unpublished: true,
        byHost: true,
      });
    }

    await assertExplained(first, second);

    const stranger = rig.switch;
    await stranger.ip([
      `route add ${second.subnet} via ${second.host.address}`,
    ]);
    assertEquals(await reach(stranger, second), {
      published: false,
      unpublished: false,
      // The way to the host is right.
      byHost: true,
    });
    assertEquals(await arriving(stranger, second), 0);
    assertEquals(await arriving(stranger, second, NO_HOSTS), 0);
    assertEquals(
      await arriving(stranger, second, neighbourOf(second.container)),
      0,
    );
    // Nothing but encapsulation tells a forger on the link from a peer.
    assertEquals(
      await arriving(stranger, second, first.container.address) > 0,
      each.direct ?? false,
    );
  });
}

/** `loden explain` finds nothing wrong, with all rules of a real Docker. */
async function assertExplained(from: Member, to: Member): Promise<void> {
  for (const flags of [[], ["--port=80"], ["--proto=udp", "--port=81"]]) {
    await eventually(
      "no accusation",
      async () => {
        const { files } = from.agent;
        const { stdout } = await loden(from.host.namespace, [
          "explain",
          "--json",
          `--run-dir=${files.runDirectory}`,
          `--state-dir=${files.stateDirectory}`,
          ...flags,
          from.container.address,
          to.container.address,
        ]);
        return JSON.parse(stdout).findings as Record<string, unknown>[];
      },
      (findings) =>
        findings.every(({ outcome }) => outcome === "ok") &&
        findings.some(({ side }) => side === "other host"),
    );
  }
}

/** A host with its agent, its Docker and a container. */
interface Member extends DockerMember {
  readonly agent: Agent;
  readonly docker: Docker28;
}

class DockerWorld implements AsyncDisposable {
  private constructor(
    readonly rig: Rig,
    readonly members: readonly Member[],
    readonly cleanup: AsyncDisposableStack,
  ) {}

  static async start({ backend, flags = [] }: Case): Promise<DockerWorld> {
    await using cleanup = new AsyncDisposableStack();
    const rig = cleanup.use(await Rig.create());
    await rig.startEtcd();
    await rig.publish({ Network: "10.1.0.0/16", Backend: backend });
    const members = await Promise.all(rig.hosts.map(async (host) => {
      const agent = await rig.startAgent(host, {
        flags: [...flags, "--ip-masq"],
      });
      await agent.ready();
      const { FLANNEL_MTU, FLANNEL_SUBNET } = await agent.subnetEnv();
      const docker = cleanup.use(
        await Docker28.start(host, {
          bip: FLANNEL_SUBNET!,
          mtuBytes: Number(FLANNEL_MTU),
          masquerade: false,
        }),
      );
      const container = await docker.runContainer();
      const subnet = FLANNEL_SUBNET!.replace(/\.1\//, ".0/");
      return { agent, host, docker, container, subnet };
    }));
    return new DockerWorld(rig, members, cleanup.move());
  }

  member(index: number): Member {
    return this.members[index]!;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cleanup[Symbol.asyncDispose]();
  }
}
