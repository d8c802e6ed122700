/**
 * A real Docker 28 on a host of the rig. Debian 13 has an older one, so it runs
 * in a root file system of Debian's next release, in the host's network
 * namespace and a mount namespace of its own. No service manager is needed.
 *
 * @module
 */

import { attempt, run } from "../../tools/command.ts";
import { cached } from "../support/cache.ts";
import { mmdebstrap } from "../support/mmdebstrap.ts";
import { debianMirror } from "./booted/debian_mirror.ts";
import type { Container } from "./container.ts";
import { Daemon } from "./daemon.ts";
import type { RigHost } from "./host.ts";
import { NetNamespace } from "./namespace.ts";

const SUITE = "forky";
const PACKAGES = [
  "busybox-static",
  "docker-cli",
  "docker.io",
  "iproute2",
  "iptables",
  "nftables",
  "procps",
];
/** Raised whenever this module makes something else of the same packages. */
const RECIPE = 1;
const START_MS = 30_000;
const STOP_MS = 5_000;
const IMAGE = "loden-test";
const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/** The port that `docker run` publishes, and the host's port for it. */
export const PUBLISHED = { port: 8080, hostPort: 18080 } as const;
/** A port that is served and not published. */
export const UNPUBLISHED_PORT = 8081;
/** What both ports answer. */
export const ANSWER = "loden-test";

/** Mounts `$2`, a writable copy of `$1`, and executes the rest within it. */
const ENTER = `image=$1 data=$2; shift 2
root=$data/root
mount -t tmpfs docker28 "$data"
mkdir "$root" "$data/upper" "$data/work"
mount -t overlay overlay \\
  -o "lowerdir=$image,upperdir=$data/upper,workdir=$data/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
for each in run tmp var/lib/docker var/lib/containerd; do
  mkdir -p "$root/$each"
  mount -t tmpfs docker28 "$root/$each"
done
mkdir -p "$root/tmp/image/bin" "$root/tmp/image/www"
cp "$root/usr/bin/busybox" "$root/tmp/image/bin/"
echo ${ANSWER} >"$root/tmp/image/www/index.html"
tar --create --file="$root/tmp/image.tar" --directory="$root/tmp/image" .
exec chroot "$root" env --ignore-environment HOME=/root ${PATH} "$@"`;

let root: Promise<string> | undefined;

/**
 * The root file system. It is fetched once, in a quarter of a minute to a minute,
 * and takes 420 MB. Fails if the machine's mirror cannot be reached.
 */
function ensureRoot(): Promise<string> {
  return root ??= cached(
    "docker28",
    [RECIPE, SUITE, PACKAGES],
    async (path) => {
      await mmdebstrap([
        // A snapshot of a suite that changes is past its date soon.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        '--aptopt=APT::Install-Recommends "false"',
        `--include=${PACKAGES.join()}`,
        SUITE,
        path,
        await debianMirror(),
      ]);
      await Deno.chmod(path, 0o755);
    },
  );
}

/** How dockerd and its containers are to be connected. */
export interface Docker28Options {
  /** The address of docker0, such as `10.1.5.1/24`. */
  readonly bip: string;
  readonly mtuBytes: number;
  /** Whether Docker is to masquerade. */
  readonly masquerade: boolean;
}

/** A running dockerd. {@linkcode destroyRig} removes what is left of it. */
export class Docker28 implements AsyncDisposable {
  readonly #host: RigHost;
  readonly #process: Daemon;
  #containers = 0;

  private constructor(host: RigHost, process: Daemon) {
    this.#host = host;
    this.#process = process;
  }

  /** Starts it and imports the image; there is no container yet. */
  static async start(
    host: RigHost,
    { bip, masquerade, mtuBytes }: Docker28Options,
  ): Promise<Docker28> {
    const image = await ensureRoot();
    const data = `${host.directory}/docker28`;
    await Deno.mkdir(data, { recursive: true });
    const process = new Daemon({
      name: `dockerd of ${host.name}`,
      logFile: `${host.directory}/dockerd.log`,
      command: [
        ...host.namespace.commandPrefix,
        ...["unshare", "--mount", "--propagation=private", "--"],
        ...["sh", "-euc", ENTER, "sh", image, data],
        "dockerd",
        `--bip=${bip}`,
        `--mtu=${mtuBytes}`,
        `--ip-masq=${masquerade}`,
        "--ipv6=false",
        "--exec-opt=native.cgroupdriver=cgroupfs",
        // A rig that is destroyed takes its groups along.
        `--cgroup-parent=/${host.name}`,
      ],
    });
    const docker = new Docker28(host, process);
    try {
      await process.untilLogged(/API listen on/, START_MS);
      await docker.#docker(["import", "/tmp/image.tar", IMAGE]);
      return docker;
    } catch (error) {
      await process.stop();
      throw error;
    }
  }

  /** `28.5.2`, perhaps with more behind it. */
  async version(): Promise<string> {
    return (await this.#docker([
      "version",
      "--format={{.Server.Version}}",
    ])).trim();
  }

  /** Runs a container that serves {@linkcode PUBLISHED} and one port more. */
  async runContainer(): Promise<Container> {
    const serve = (port: number) => `busybox httpd -f -p ${port} -h /www`;
    const id = (await this.#docker([
      "run",
      "--detach",
      "--init=false",
      `--publish=${PUBLISHED.hostPort}:${PUBLISHED.port}`,
      IMAGE,
      ...["busybox", "sh", "-c"],
      `${serve(PUBLISHED.port)} & ${serve(UNPUBLISHED_PORT)}`,
    ])).trim();
    const [pid, address] = (await this.#docker([
      "inspect",
      "--format={{.State.Pid}} {{.NetworkSettings.Networks.bridge.IPAddress}}",
      id,
    ])).trim().split(" ") as [string, string];
    this.#containers += 1;
    const namespace = await NetNamespace.attach(
      `${this.#host.name}-d${this.#containers}`,
      Number(pid),
    );
    const mtu = await namespace.run(["cat", "/sys/class/net/eth0/mtu"]);
    return { namespace, address, mtuBytes: Number(mtu) };
  }

  /** Its containers would take ten seconds to end in order; the rig ends them. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.ended(STOP_MS);
  }

  #docker(command: readonly string[]): Promise<string> {
    return run([
      ...["nsenter", `--target=${this.#process.pid}`, "--mount", "--root"],
      ...["--net", "--", "env", "--ignore-environment", PATH, "docker"],
      ...command,
    ]);
  }
}

/** Whether `address` answers by HTTP, as seen from a namespace. */
export async function isServed(
  from: NetNamespace,
  address: string,
  port: number,
): Promise<boolean> {
  const { stdout } = await attempt([
    ...from.commandPrefix,
    ...["busybox", "wget", "-q", "-T", "1", "-O", "-"],
    `http://${address}:${port}/`,
  ]);
  return stdout.trim() === ANSWER;
}
