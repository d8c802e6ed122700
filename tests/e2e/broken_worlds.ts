/**
 * One rig, broken in many ways and mended again: what an operator sees in each.
 *
 * @module
 */

import { docker29Rules } from "../support/docker29_rules.ts";
import { loden } from "../rig/agent.ts";
import { Daemon } from "../rig/daemon.ts";
import type { CommandResult } from "../../tools/command.ts";
import type { Setup } from "./data_paths.ts";
import {
  eventually,
  type Node,
  type Overlay,
  type OverlayOptions,
  restart,
  startOverlay,
  statusOf,
  SUBNETS,
} from "./overlay.ts";
import { program } from "./programs/path.ts";
import { untilAnswered } from "./traffic.ts";

/** What `loden explain --json` says at its end. */
export interface Explained {
  readonly verdict: "delivered" | "dropped" | "unknown";
  readonly side: string | null;
  readonly stage: string | null;
  readonly text: string;
  readonly fix: string | null;
  readonly findings: readonly {
    readonly side: string;
    readonly stage: string;
    readonly outcome: string;
    readonly text: string;
  }[];
}

/** Two hosts with a container each, and what is needed to break them. */
export class BreakableWorld implements AsyncDisposable {
  readonly #overlay: Overlay;
  readonly #cleanup: AsyncDisposableStack;
  /** Subnets of the two: `10.1.5.0/24`. */
  readonly subnets: readonly [string, string];

  private constructor(
    overlay: Overlay,
    cleanup: AsyncDisposableStack,
    subnets: readonly [string, string],
  ) {
    this.#overlay = overlay;
    this.#cleanup = cleanup;
    this.subnets = subnets;
  }

  /** Waits until everything passes. */
  static async start(
    setup: Setup,
    options: Partial<OverlayOptions> = {},
  ): Promise<BreakableWorld> {
    await using cleanup = new AsyncDisposableStack();
    const overlay = cleanup.use(await startOverlay({ ...options, setup }));
    for (const { container, host } of overlay.nodes) {
      // A container has a process; a namespace alone is none.
      cleanup.use(
        new Daemon({
          name: `the container of ${host.name}`,
          command: [...container.namespace.commandPrefix, "sleep", "600"],
          logFile: `${host.directory}/container.log`,
        }),
      );
    }
    const subnets = await Promise.all(
      overlay.nodes.map(async (node) => (await statusOf(node)).subnet!),
    );
    const world = new BreakableWorld(
      overlay,
      cleanup.move(),
      subnets as [string, string],
    );
    await world.untilWell();
    return world;
  }

  get overlay(): Overlay {
    return this.#overlay;
  }

  get here(): Node {
    return this.#overlay.node(0);
  }

  get there(): Node {
    return this.#overlay.node(1);
  }

  /** Runs a shell script on a host. */
  async on({ host }: Node, script: string): Promise<void> {
    await host.namespace.run(["sh", "-euc", script]);
  }

  /** The same on the switch between the hosts. */
  async between(script: string): Promise<void> {
    await this.#overlay.rig.switch.run(["sh", "-euc", script]);
  }

  /** A subcommand of this host, such as `explain` or `status`. */
  loden(
    { agent, host }: Node,
    command: string,
    args: readonly string[],
  ): Promise<CommandResult> {
    return loden(host.namespace, [
      command,
      `--run-dir=${agent.files.runDirectory}`,
      ...command === "status" ? [] : [
        `--state-dir=${agent.files.stateDirectory}`,
      ],
      ...args,
    ]);
  }

  /** `loden explain` from the first container to the second, unless told. */
  async explain(
    args: readonly string[] = [],
    from = this.here.container.address,
    to = this.there.container.address,
  ): Promise<Explained> {
    const { exitCode, stderr, stdout } = await this.loden(
      this.here,
      "explain",
      [...args, "--json", from, to],
    );
    const code = { delivered: 0, dropped: 1, unknown: 8 };
    const explained = stdout === "" ? undefined : JSON.parse(stdout);
    if (code[explained?.verdict as keyof typeof code] !== exitCode) {
      throw new Error(`explain has ended with ${exitCode}: ${stderr}${stdout}`);
    }
    return explained;
  }

  /** Whether a ping from the first container arrives and is answered. */
  async isAnswered(
    to = this.there.container.address,
    sizeBytes = 84,
  ): Promise<boolean> {
    const { exitCode } = await this.here.container.namespace.attempt([
      ...["ping", "-n", "-c1", "-W0.3", "-Mdo", `-s${sizeBytes - 28}`, to],
    ]);
    return exitCode === 0;
  }

  /** Packets pass in both directions, and the agents ask each other. */
  async untilWell(): Promise<void> {
    await Promise.all([
      eventually(
        "an answered probe",
        () => statusOf(this.here),
        ({ peers }) =>
          peers.some(({ probe, subnet }) =>
            subnet === this.subnets[1] && probe?.lastAnswer
          ),
      ),
      untilAnswered(
        this.here.container.namespace,
        this.there.container.address,
      ),
      untilAnswered(
        this.there.container.namespace,
        this.here.container.address,
      ),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync();
  }
}

/** A way to break it. */
export interface BrokenWorld {
  /** Ends the sentence "explain says what is wrong when …". */
  readonly name: string;
  /** Each is undone by `mend`. */
  readonly breaks: (world: BreakableWorld) => Promise<void>;
  readonly mends: (world: BreakableWorld) => Promise<void>;
  /** More flags of `explain`. */
  readonly flags?: readonly string[];
  /** Of the packets that are lost; of a ping by default. */
  readonly sizeBytes?: number;
  /** Other than between the two containers. */
  readonly from?: (world: BreakableWorld) => string;
  readonly to?: (world: BreakableWorld) => string;
  /** Who is to blame, where. */
  readonly side: "this host" | "way" | "other host";
  readonly stage: string;
  readonly fix: RegExp;
}

/** The first three numbers of a subnet that neither host has. */
function goneSubnet({ subnets }: BreakableWorld): string {
  return ["10.1.201", "10.1.202", "10.1.203"]
    .find((prefix) => !subnets.some((each) => each.startsWith(`${prefix}.`)))!;
}

/** `10.1.5.1/24` of `10.1.5.0/24`. */
function bridgeAddress(subnet: string): string {
  return subnet.replace(/\.0\//, ".1/");
}

/** No host is given the first subnet of a network. */
const FREE = "10.1.0";
const NO_MACHINE = "192.0.2.99";

/** Every one of them costs a second or a few. */
export const BROKEN_WORLDS: readonly BrokenWorld[] = [
  {
    name: "there is no peer for the address",
    breaks: () => Promise.resolve(),
    mends: () => Promise.resolve(),
    to: () => `${FREE}.2`,
    side: "this host",
    stage: "route",
    fix: /loden status lists the subnets/,
  },
  {
    name: "the container's address is not in the lease",
    breaks: async (world) => {
      await world.on(
        world.here,
        `ip address add ${FREE}.1/24 dev docker0 &&
         ip netns exec ${world.here.container.namespace.name} \\
           ip address add ${FREE}.2/24 dev eth0`,
      );
    },
    mends: async (world) => {
      await world.on(
        world.here,
        `ip address del ${FREE}.1/24 dev docker0 &&
         ip netns exec ${world.here.container.namespace.name} \\
           ip address del ${FREE}.2/24 dev eth0`,
      );
    },
    from: () => `${FREE}.2`,
    side: "this host",
    stage: "bridge",
    fix: /systemctl restart docker/,
  },
  {
    name: "a rule of this host's FORWARD chain drops the packet",
    breaks: (world) =>
      world.on(
        world.here,
        `iptables -I FORWARD -d ${world.subnets[1]} -j DROP`,
      ),
    mends: (world) =>
      world.on(
        world.here,
        `iptables -D FORWARD -d ${world.subnets[1]} -j DROP`,
      ),
    side: "this host",
    stage: "firewall",
    fix: /^iptables -t filter -D FORWARD -d \S+ -j DROP$/,
  },
  {
    name: "this host does not forward",
    breaks: (world) =>
      world.on(world.here, "echo 0 >/proc/sys/net/ipv4/ip_forward"),
    mends: (world) =>
      world.on(world.here, "echo 1 >/proc/sys/net/ipv4/ip_forward"),
    side: "this host",
    stage: "forwarding",
    fix: /^sysctl -w net.ipv4.ip_forward=1$/,
  },
  {
    name: "the peer's addresses are taken twice",
    breaks: (world) =>
      world.on(
        world.here,
        `ip link add br-twice type bridge &&
         ip address add ${bridgeAddress(world.subnets[1])} dev br-twice &&
         ip link set br-twice up`,
      ),
    mends: (world) => world.on(world.here, "ip link delete br-twice"),
    side: "this host",
    stage: "route",
    fix: /^ip address del \S+ dev br-twice$/,
  },
  {
    name: "etcd has a lease of a machine that is gone",
    breaks: async (world) => {
      await world.overlay.rig.etcd.ctl(
        "put",
        `${SUBNETS}/${goneSubnet(world)}.0-24`,
        JSON.stringify({ PublicIP: NO_MACHINE, BackendType: "udp" }),
      );
      await eventually(
        "a neighbour that was given up",
        async () =>
          (await world.here.host.namespace.attempt([
            "sh",
            "-c",
            `ping -c1 -W1 ${
              goneSubnet(world)
            }.1 >/dev/null; ip neighbour show ${NO_MACHINE}`,
          ])).stdout,
        (text) => text.includes("FAILED"),
        20_000,
      );
    },
    mends: async (world) => {
      await world.overlay.rig.etcd.ctl(
        "del",
        `${SUBNETS}/${goneSubnet(world)}.0-24`,
      );
    },
    to: (world) => `${goneSubnet(world)}.2`,
    side: "this host",
    stage: "neighbour",
    fix: /check that the host is up/,
  },
  {
    name: "the other host does not forward",
    breaks: (world) =>
      world.on(world.there, "echo 0 >/proc/sys/net/ipv4/ip_forward"),
    mends: (world) =>
      world.on(world.there, "echo 1 >/proc/sys/net/ipv4/ip_forward"),
    side: "other host",
    stage: "forwarding",
    fix: /^sysctl -w net.ipv4.ip_forward=1$/,
  },
  {
    name: "the other host's reverse path filter drops the packet",
    breaks: (world) =>
      world.on(
        world.there,
        `ip rule add to ${world.here.container.address} lookup 99 &&
         ip route add ${world.here.container.address} dev docker0 table 99 &&
         echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter &&
         echo 1 >/proc/sys/net/ipv4/conf/flannel0/rp_filter`,
      ),
    mends: (world) =>
      world.on(
        world.there,
        `ip rule del to ${world.here.container.address} lookup 99 &&
         ip route flush table 99 &&
         echo 2 >/proc/sys/net/ipv4/conf/all/rp_filter &&
         echo 2 >/proc/sys/net/ipv4/conf/flannel0/rp_filter`,
      ),
    side: "other host",
    stage: "route",
    fix: /^sysctl -w net.ipv4.conf.flannel0.rp_filter=2$/,
  },
  {
    name: "the other host's Docker, 28 or later, drops the packet",
    breaks: (world) =>
      world.on(
        world.there,
        docker29Rules({
          container: world.there.container.address,
          isTold: false,
        }),
      ),
    mends: (world) =>
      world.on(world.there, "nft delete table ip docker-bridges"),
    side: "other host",
    stage: "firewall",
    fix: /^start dockerd with --allow-direct-routing/,
  },
  {
    name: "the other host's bridge is on another subnet",
    breaks: (world) =>
      world.on(
        world.there,
        `ip address del ${bridgeAddress(world.subnets[1])} dev docker0 &&
         ip address add 172.17.0.1/16 dev docker0`,
      ),
    mends: (world) =>
      world.on(
        world.there,
        `ip address del 172.17.0.1/16 dev docker0 &&
         ip address add ${bridgeAddress(world.subnets[1])} dev docker0`,
      ),
    side: "other host",
    stage: "route",
    fix: /^systemctl restart docker$/,
  },
  {
    name: "a network on the way has a smaller MTU",
    breaks: (world) =>
      world.between("ip link set port1 mtu 1400; ip link set port2 mtu 1400"),
    mends: (world) =>
      world.between("ip link set port1 mtu 1500; ip link set port2 mtu 1500"),
    flags: ["--size=1450", "--send"],
    sizeBytes: 1450,
    side: "way",
    stage: "way",
    fix: /raise the MTU there/,
  },
  {
    name: "UDP port 8285 is blocked in the middle",
    breaks: (world) =>
      world.between(`nft -f - <<'RULES'
table bridge middle {
  chain forward {
    type filter hook forward priority 0; policy accept;
    ip protocol udp udp dport 8285 drop
  }
}
RULES`),
    mends: (world) => world.between("nft delete table bridge middle"),
    flags: ["--send"],
    side: "way",
    stage: "way",
    fix: /^let UDP port 8285 pass between the hosts/,
  },
  {
    name: "a rule that cannot be evaluated drops what is forwarded",
    breaks: (world) =>
      world.on(
        world.here,
        `iptables -I FORWARD -d ${world.subnets[1]} -m dscp --dscp 0 -j DROP`,
      ),
    mends: (world) =>
      world.on(
        world.here,
        `iptables -D FORWARD -d ${world.subnets[1]} -m dscp --dscp 0 -j DROP`,
      ),
    flags: ["--send"],
    side: "this host",
    stage: "firewall",
    fix: /^nft insert rule ip filter FORWARD /,
  },
  {
    name: "the entry of the peer has expired, because no agent runs",
    breaks: async ({ here }) => {
      here.agent.process.kill("SIGKILL");
      await here.agent.process.ended(5_000);
      await here.host.namespace.run(program("expire_peers.ts", "flannel0"));
    },
    mends: ({ here, overlay }) => restart(overlay.rig, here),
    side: "this host",
    stage: "peer entry",
    fix: /systemctl start loden/,
  },
];
