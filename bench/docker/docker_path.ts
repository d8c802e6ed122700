/**
 * A path between containers of two real Docker daemons, each on a booted host
 * with systemd, where the agent runs as its unit has it.
 *
 * The programs that measure run in the containers' network namespaces, as they
 * do on the same path without Docker: the network is what differs.
 *
 * @module
 */

import {
  DockerWorld,
  enableLoden,
} from "../../tests/e2e/docker/docker_world.ts";
import type { LinkMode } from "../../tests/rig/link_mode.ts";
import type { BootedHost } from "../../tests/rig/booted/booted_host.ts";
import {
  installProgram,
  whatToInstall,
} from "../../tests/rig/booted/installation.ts";
import type { Rig } from "../../tests/rig/rig.ts";
import { createVxlan } from "../../tests/rig/vxlan.ts";
import type { MeasuredLink } from "../measure/link.ts";
import { setFirewallRules } from "../paths/firewall_rules.ts";
import { isUdpPathName, lodenFlags } from "../paths/udp_path.ts";
import type { UniformPathName } from "../paths/udp_path.ts";
import type { MeasuredPath } from "../paths/measured_path.ts";
import type { DockerPathName } from "../paths/path_names.ts";
import { untilWritten } from "./unit_start.ts";

const UNIT = "loden.service";
const NETWORK = "10.1.0.0/16";
const VXLAN_NETWORK = "10.2.0.0/16";
/** Docker and its containers are up by then, also on a busy machine. */
const DOCKER_MS = 60_000;
/** The host whose agent is restarted: the receiving one. */
const RESTARTED = 1;

/** See the module. */
export class DockerPath implements MeasuredPath {
  readonly name: DockerPathName;
  readonly rig: Rig;
  readonly link: MeasuredLink;
  readonly #world: DockerWorld;

  private constructor(
    name: DockerPathName,
    rig: Rig,
    link: MeasuredLink,
    world: DockerWorld,
  ) {
    this.name = name;
    this.rig = rig;
    this.link = link;
    this.#world = world;
  }

  /** Boots the hosts of a fresh rig; `cleanup` takes what has to be ended. */
  static async create(
    name: DockerPathName,
    rig: Rig,
    cleanup: AsyncDisposableStack,
    signal: AbortSignal,
  ): Promise<DockerPath> {
    const world = cleanup.use(
      isUdpPathName(name)
        ? await bootLoden(name, rig, signal)
        : await bootVxlan(rig, signal),
    );
    for (const { machine } of world.hosts) {
      await machine.untilUnit("docker.service", "active", DOCKER_MS);
    }
    await world.startContainers();
    if (isUdpPathName(name)) await world.untilJoined();
    const [client, server] = [
      await world.container(0),
      await world.container(1),
    ];
    const link = { client, server, directory: rig.directory };
    return new DockerPath(name, rig, link, world);
  }

  /** What Docker calls itself. */
  async dockerVersion(): Promise<string> {
    const format = "--format={{.Server.Version}}";
    return (await this.#machine(0).run(["docker", "version", format])).trim();
  }

  processes(): readonly (readonly number[])[] {
    return this.#world.hosts.map(({ machine }) =>
      isUdpPathName(this.name) ? machine.processesOf(UNIT) : []
    );
  }

  /** What `auto` chooses depends on what the underlay is like. */
  async enterMode(mode: LinkMode, signal: AbortSignal): Promise<void> {
    await this.rig.setLinkMode(mode, signal);
    if (this.name !== "udp-ebpf") return;
    for (const { machine } of this.#world.hosts) {
      await machine.run(["systemctl", "restart", UNIT], { signal });
    }
    await this.#world.untilJoined();
  }

  freeze(): void {
    for (const { machine } of this.#world.hosts) machine.freeze();
    if (isUdpPathName(this.name)) this.rig.etcd.pause();
  }

  thaw(): void {
    if (isUdpPathName(this.name)) this.rig.etcd.resume();
    for (const { machine } of this.#world.hosts) machine.thaw();
  }

  /** Milliseconds from the unit's exec to subnet.env, of one start. */
  async measureStart(signal: AbortSignal): Promise<number> {
    const machine = this.#machine(RESTARTED);
    const file = "/run/flannel/subnet.env";
    await machine.run(["systemctl", "stop", UNIT], { signal });
    await machine.run(["rm", file], { signal });
    await machine.run(["systemctl", "start", UNIT], { signal });
    return await untilWritten(machine, UNIT, file, signal);
  }

  /** The program is replaced, as a package does it, and the unit restarted. */
  async upgrade(signal: AbortSignal): Promise<void> {
    const machine = this.#machine(RESTARTED);
    await installProgram(machine, whatToInstall().program);
    await machine.run(["systemctl", "restart", UNIT], { signal });
  }

  #machine(index: number): BootedHost {
    return this.#world.host(index).machine;
  }
}

async function bootLoden(
  name: UniformPathName,
  rig: Rig,
  signal: AbortSignal,
): Promise<DockerWorld> {
  await rig.startEtcd();
  await rig.publish({ Network: NETWORK });
  return await DockerWorld.boot({
    rig,
    signal,
    hosts: 2,
    prepare: (host, rig) =>
      enableLoden(
        host,
        rig,
        Object.fromEntries(lodenFlags(name).map(asVariable)),
      ),
  });
}

/** `--ebpf-receive=xdp` as `FLANNELD_EBPF_RECEIVE` and its value. */
function asVariable(flag: string): [name: string, value: string] {
  const [name, value] = flag.slice("--".length).split("=");
  return [`FLANNELD_${name!.toUpperCase().replaceAll("-", "_")}`, value!];
}

/** Docker is told of the kernel's overlay as Loden tells it of its own. */
async function bootVxlan(
  rig: Rig,
  signal: AbortSignal,
): Promise<DockerWorld> {
  const nodes = await createVxlan(rig.hosts, undefined, signal);
  const world = await DockerWorld.boot({
    rig,
    signal,
    hosts: 2,
    async prepare({ host, machine }) {
      const { bip, mtuBytes } = nodes.find((node) => node.host === host)!;
      await machine.writeTextFile(
        "/etc/systemd/system/docker.service.d/60-vxlan.conf",
        "[Service]\n" +
          `Environment=DOCKER_OPT_BIP=--bip=${bip}\n` +
          `Environment=DOCKER_OPT_MTU=--mtu=${mtuBytes}\n` +
          "Environment=DOCKER_OPT_IPMASQ=--ip-masq=false\n",
      );
    },
  });
  for (const node of nodes) {
    await setFirewallRules(node, VXLAN_NETWORK, signal);
  }
  return world;
}
