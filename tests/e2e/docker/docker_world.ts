/**
 * Docker hosts that were booted: on each a systemd, a Docker and a Loden, all
 * three started by their own units, and one container.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { StatusSnapshot } from "../../../agent/state.ts";
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
import type { DataPath } from "../data_paths.ts";
import { eventually } from "../overlay.ts";

/** The container of each host. */
export const CONTAINER = "first";
/** Started by Docker whenever Docker starts, also after a reboot. */
const ALWAYS: ContainerOptions = { options: ["--restart=always"] };
const OPTIONS_FILE = "/etc/default/loden";

/** One machine. */
export interface DockerHost {
  readonly machine: BootedHost;
  readonly host: RigHost;
  readonly dataPath: DataPath;
}

/** How to build the world. */
export interface DockerWorldOptions {
  /** Of each host, in their order. */
  readonly dataPaths: readonly DataPath[];
  /**
   * What is done to each host's disk when Loden is installed, before the host
   * boots; by default Loden is enabled, with its options in its own file.
   */
  readonly prepare?: (host: DockerHost, rig: Rig) => Promise<void>;
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
    { dataPaths, prepare = enableLoden }: DockerWorldOptions,
  ): Promise<DockerWorld> {
    const what = whatToInstall();
    const image = await ensureRootImage();
    const binds = await bindsOf(what);
    await using cleanup = new AsyncDisposableStack();
    const rig = cleanup.use(await Rig.create({ hosts: dataPaths.length }));
    const hosts: DockerHost[] = [];
    for (const [index, dataPath] of dataPaths.entries()) {
      const host = rig.host(index);
      const machine = cleanup.use(
        await BootedHost.create(host, { image, binds }),
      );
      await putImageArchive(machine, image);
      await installLoden(machine, what);
      hosts.push({ machine, host, dataPath });
      await prepare(hosts[index]!, rig);
    }
    await Promise.all(hosts.map(({ machine }) => machine.boot()));
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

async function enableLoden(
  { dataPath, machine }: DockerHost,
  { etcdEndpoint }: Rig,
): Promise<void> {
  await machine.writeTextFile(
    OPTIONS_FILE,
    `FLANNELD_ETCD_ENDPOINTS=${etcdEndpoint}\n` +
      `FLANNELD_IFACE=eth0\nFLANNELD_DATAPATH=${dataPath}\n`,
  );
  await machine.enable("loden.service");
}
