/**
 * Docker hosts that were booted: on each a systemd, a Docker and a Loden, all
 * three started by their own units, and one container.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { StatusSnapshot } from "../../../agent/status/status_snapshot.ts";
import { BootedHost } from "../../rig/booted/booted_host.ts";
import {
  type ContainerOptions,
  type DockerContainer,
  findContainer,
  importImage,
  putImageArchive,
  runContainer,
} from "../../rig/booted/docker.ts";
import {
  bindsOf,
  installLoden,
  whatToInstall,
} from "../../rig/booted/installation.ts";
import { ensureRootImage } from "../../rig/booted/root_image.ts";
import type { RigHost } from "../../rig/host.ts";
import { Rig } from "../../rig/rig.ts";
import { eventually } from "../overlay.ts";

/** The container of each host. */
export const CONTAINER = "first";
/** Started by Docker whenever Docker starts, also after a reboot. */
const ALWAYS: ContainerOptions = { options: ["--restart=always"] };

/** One machine. */
export interface DockerHost {
  readonly machine: BootedHost;
  readonly host: RigHost;
}

/** How to build the world. */
export interface DockerWorldOptions {
  /** Number of hosts. */
  readonly hosts: number;
  /**
   * What is done to a host's disk when Loden is installed, before the host
   * boots; {@linkcode enableLoden}, for example.
   */
  readonly prepare: (host: DockerHost, rig: Rig) => Promise<void>;
  /** A fresh rig with as many hosts; by default one is made. */
  readonly rig?: Rig;
  readonly signal?: AbortSignal;
}

/** See the module's text. */
export class DockerWorld implements AsyncDisposable {
  readonly rig: Rig;
  readonly hosts: readonly DockerHost[];
  readonly #cleanup: AsyncDisposableStack;

  private constructor(
    rig: Rig,
    hosts: readonly DockerHost[],
    cleanup: AsyncDisposableStack,
  ) {
    this.rig = rig;
    this.hosts = hosts;
    this.#cleanup = cleanup;
  }

  /** Boots the hosts, with Loden and Docker installed. There is no etcd yet. */
  static async boot(
    { hosts: count, prepare, rig: given, signal }: DockerWorldOptions,
  ): Promise<DockerWorld> {
    const what = whatToInstall();
    const image = await ensureRootImage(signal);
    const binds = await bindsOf(what);
    await using cleanup = new AsyncDisposableStack();
    const rig = cleanup.use(
      given ?? await Rig.create({ hosts: count }),
    );
    const hosts: DockerHost[] = [];
    for (const host of rig.hosts) {
      const machine = cleanup.use(
        await BootedHost.create(host, {
          image,
          binds,
          ...signal ? { signal } : {},
        }),
      );
      await putImageArchive(machine, image);
      await installLoden(machine, what);
      hosts.push({ machine, host });
      await prepare({ machine, host }, rig);
    }
    await Promise.all(hosts.map(({ machine }) => machine.boot(signal)));
    return new DockerWorld(rig, hosts, cleanup.move());
  }

  /** The host number `index`, from 0. */
  host(index: number): DockerHost {
    const host = this.hosts[index];
    if (!host) throw new RangeError(`Cannot find host ${index}`);
    return host;
  }

  /** Waits for Loden and Docker, and starts a container on each host. */
  async startContainers(): Promise<void> {
    await Promise.all(this.hosts.map(async ({ machine }) => {
      await machine.untilUnit("docker.service", "active");
      await importImage(machine);
      await runContainer(machine, CONTAINER, ALWAYS);
    }));
  }

  /** The first container of a host; it is another one after each restart. */
  async container(index: number): Promise<DockerContainer> {
    const { machine } = this.host(index);
    await machine.until(
      `a container`,
      ["docker", "inspect", "--format={{.State.Running}}", CONTAINER],
      ({ stdout }) => stdout.trim() === "true",
    );
    return await findContainer(machine, CONTAINER);
  }

  /** What `loden status --json` prints there. */
  async status(index: number): Promise<StatusSnapshot> {
    const { machine } = this.host(index);
    return JSON.parse(await machine.run(["loden", "status", "--json"]));
  }

  /** The subnet that a host's Docker was told of. */
  async subnet(index: number): Promise<string> {
    const { subnet } = await this.status(index);
    if (subnet === null) {
      throw new Error(`Cannot tell the subnet of host ${index}: it has none`);
    }
    return subnet;
  }

  /** Waits until every host knows all others, by fresh leases. */
  async untilJoined(): Promise<void> {
    for (const index of this.hosts.keys()) {
      await eventually(
        `all peers of host ${index}`,
        () => this.status(index),
        ({ peers }) =>
          peers.filter(({ stale }) => !stale).length === this.hosts.length - 1,
      );
    }
  }

  /** Docker's bridge is what subnet.env says: address, length, MTU. */
  async assertBridge(index: number): Promise<void> {
    const { machine } = this.host(index);
    const environment = await machine.readTextFile("/run/flannel/subnet.env");
    const [link] = JSON.parse(
      await machine.run(["ip", "-json", "address", "show", "docker0"]),
    );
    const { local, prefixlen } = link.addr_info.find(
      ({ family }: { family: string }) => family === "inet",
    );
    assertEquals(
      [`${local}/${prefixlen}`, String(link.mtu)],
      [
        /^FLANNEL_SUBNET=(.*)$/m.exec(environment)?.[1],
        /^FLANNEL_MTU=(.*)$/m.exec(environment)?.[1],
      ],
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync();
  }
}

/** Enables Loden, with its settings in the administrator's file. */
export async function enableLoden(
  { machine }: DockerHost,
  { etcdEndpoint }: Rig,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  await setOptions(machine, {
    FLANNELD_ETCD_ENDPOINTS: etcdEndpoint,
    FLANNELD_IFACE: "eth0",
    ...settings,
  });
  await machine.enable("loden.service");
}

/** The administrator's settings of the agent; they count from its next start. */
export async function setOptions(
  machine: BootedHost,
  options: Readonly<Record<string, string>>,
): Promise<void> {
  await machine.writeTextFile(
    "/etc/default/loden",
    Object.entries(options).map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
}
