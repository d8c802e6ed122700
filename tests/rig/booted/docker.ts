/**
 * The real Docker of a booted host: an image made from Debian's programs, and
 * containers whose network namespaces have a name.
 *
 * @module
 */

import { attempt, run } from "../../../tools/command.ts";
import type { Container } from "../container.ts";
import { NetNamespace } from "../namespace.ts";
import type { BootedHost } from "./booted_host.ts";
import { programFiles } from "./root_image.ts";

/** What the image is called. */
export const IMAGE = "loden-test";
/** What is in the image, beside libraries; busybox is a shell and much else. */
const PROGRAMS = [
  "/usr/bin/busybox",
  "/usr/bin/iperf3",
  "/usr/bin/ping",
  "/usr/bin/redis-cli",
  "/usr/bin/redis-server",
];
/** Process 1 ends by signals that it has asked for only. */
const SLEEP = [
  ...["busybox", "sh", "-c"],
  "trap 'exit 0' TERM; busybox sleep 86400 & wait",
];
const ARCHIVE = "/var/lib/docker-image.tar";

/** A running container. */
export interface DockerContainer extends Container {
  readonly name: string;
}

/** How to run one. */
export interface ContainerOptions {
  /** The command inside; it sleeps by default. */
  readonly command?: readonly string[];
  /** More words for `docker run`, such as `--publish=8080:80`. */
  readonly options?: readonly string[];
}

/**
 * The image as an archive in the root file system of a host, which `docker
 * import` takes without a registry.
 *
 * @param rootImage what {@linkcode ensureRootImage} made.
 */
export async function putImageArchive(
  host: BootedHost,
  rootImage: string,
): Promise<void> {
  const files = await programFiles(rootImage, PROGRAMS);
  await run([
    "tar",
    "--create",
    `--file=${host.root}${ARCHIVE}`,
    `--directory=${rootImage}`,
    // Libraries are found by the names that programs know them by.
    "--dereference",
    ...files,
  ]);
}

/** Makes the image of the archive. The daemon must run. */
export async function importImage(host: BootedHost): Promise<void> {
  await host.run(["docker", "import", ARCHIVE, IMAGE]);
}

/** Runs a container in the background. */
export async function runContainer(
  host: BootedHost,
  name: string,
  { command = SLEEP, options = [] }: ContainerOptions = {},
): Promise<DockerContainer> {
  await host.run([
    "docker",
    "run",
    "--detach",
    `--name=${name}`,
    ...options,
    IMAGE,
    ...command,
  ]);
  return await findContainer(host, name);
}

/** A container that another program, such as a unit, has started. */
export async function findContainer(
  host: BootedHost,
  name: string,
): Promise<DockerContainer> {
  const [id, networks] = (await host.run([
    "docker",
    "inspect",
    "--format={{.Id}} {{json .NetworkSettings.Networks}}",
    name,
  ])).trim().split(/ (.*)/s) as [string, string];
  const [network] = Object.values(
    JSON.parse(networks) as Record<string, { IPAddress: string }>,
  );
  const label = `${host.name}-d${id.slice(0, 8)}`;
  // A container that was started again has another namespace than before.
  await attempt(["ip", "netns", "delete", label]);
  const namespace = await NetNamespace.attach(
    label,
    host.processesOf(`docker-${id}.scope`)[0]!,
  );
  const mtu = await namespace.run(["cat", "/sys/class/net/eth0/mtu"]);
  return {
    name,
    namespace,
    address: network!.IPAddress,
    mtuBytes: Number(mtu),
  };
}
