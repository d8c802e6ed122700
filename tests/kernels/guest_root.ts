/**
 * The root file system of the virtual machines, made once from Debian's packages
 * and shared by all of them: it is read only, and each machine writes into an
 * overlay in its memory.
 *
 * One for another architecture is unpacked only, as this machine cannot run its
 * programs: what the packages' scripts would have made is made here.
 *
 * @module
 */

import { run } from "../../tools/command.ts";
import { download } from "../../tools/download.ts";
import { unpackNpmArchive } from "../../tools/npm_archive.ts";
import { cached } from "../support/cache.ts";
import { mmdebstrap } from "../support/mmdebstrap.ts";
import { type Architecture, isNative } from "./architecture.ts";
import { makeDisk, temporaryDirectory } from "./disk.ts";

/** What the tests run. */
const PACKAGES = [
  "bpftool",
  "busybox-static",
  "etcd-client",
  "etcd-server",
  "ethtool",
  "iperf3",
  "iproute2",
  "iptables",
  "iputils-ping",
  "kmod",
  "nftables",
  "procps",
  "systemd",
  "tcpdump",
];
const CODENAME = "trixie";
const SOURCES = "/etc/apt/sources.list.d/debian.sources";

/** Raised whenever this module makes something else of the same packages. */
const RECIPE = 3;

/** Adds what was unpacked to dpkg's list of installed packages. */
const RECORD_PACKAGES = `for package in "$1"/var/cache/apt/archives/*.deb; do
  dpkg-deb --field "$package"
  printf 'Status: install ok installed\n\n'
done >"$1/var/lib/dpkg/status"`;

/** Directories that scripts of packages make. */
const DIRECTORIES = ["opt", "usr/local/bin", "usr/local/sbin"];
/** Copies of files below `/usr/share` that they make. */
const COPIES = {
  "etc/group": "base-passwd/group.master",
  "etc/nsswitch.conf": "libc-bin/nsswitch.conf",
  "etc/passwd": "base-passwd/passwd.master",
};
/** Links that they make. */
const LINKS = {
  "usr/bin/awk": "mawk",
  "usr/bin/which": "which.debianutils",
  "usr/sbin/iptables": "iptables-nft",
  "usr/sbin/iptables-restore": "iptables-nft-restore",
  "usr/sbin/iptables-save": "iptables-nft-save",
};

/** Paths of files. */
export interface GuestRoot {
  /** An ext4 image with Debian, this Deno and the project's packages. */
  readonly image: string;
  /** A static busybox. */
  readonly busybox: string;
}

/** Makes it once: some twenty seconds and 80 MB of packages. */
export async function guestRoot(
  architecture: Architecture,
  signal: AbortSignal,
): Promise<GuestRoot> {
  const read = (name: string) =>
    Deno.readTextFile(new URL(`guest/${name}`, import.meta.url));
  const init = await read("init.sh");
  const unit = await read("guest.service");
  const lock = await Deno.readTextFile("deno.lock");
  const contents = [CODENAME, PACKAGES, Deno.version.deno, init, unit, lock];
  const key = [RECIPE, architecture, contents];
  const directory = await cached("guest-root", key, async (path) => {
    await Deno.mkdir(path);
    await using work = await temporaryDirectory();
    const root = `${work.path}/root`;
    await mmdebstrap([
      `--architectures=${architecture.debian}`,
      ...isNative(architecture) ? [] : [
        // Without emulation it cannot run programs, and need not.
        ...["--variant=extract", "--skip=check/qemu"],
        ...["--include=?priority(required)"],
        `--extract-hook=${RECORD_PACKAGES}`,
      ],
      ...[`--include=${PACKAGES.join()}`, CODENAME, root, SOURCES],
    ], signal);
    if (!isNative(architecture)) await finishUnpacked(root);
    await Deno.writeTextFile(`${root}/usr/local/sbin/guest-init`, init, {
      mode: 0o755,
    });
    await Deno.writeTextFile(`${root}/etc/systemd/system/guest.service`, unit);
    // Without one, systemd would take it for a first start, and enable units.
    await Deno.writeTextFile(`${root}/etc/machine-id`, `${"1".repeat(32)}\n`);
    await Deno.mkdir(`${root}/opt/loden`);
    await installDeno(architecture, `${root}/usr/local/bin/deno`, signal);
    await installPackages(architecture, `${root}/opt/deno`, signal);
    await Deno.copyFile(`${root}/usr/bin/busybox`, `${path}/busybox`);
    await makeDisk(root, `${path}/root.ext4`, signal);
  });
  return { image: `${directory}/root.ext4`, busybox: `${directory}/busybox` };
}

async function finishUnpacked(root: string): Promise<void> {
  for (const path of DIRECTORIES) {
    await Deno.mkdir(`${root}/${path}`, { recursive: true });
  }
  for (const [path, source] of Object.entries(COPIES)) {
    await Deno.copyFile(`${root}/usr/share/${source}`, `${root}/${path}`);
  }
  for (const [path, target] of Object.entries(LINKS)) {
    await Deno.symlink(target, `${root}/${path}`);
  }
  // etcd would ask a name server for it, and end without an answer.
  await Deno.writeTextFile(`${root}/etc/hosts`, "127.0.0.1 localhost\n");
}

/** The Deno that runs this, or the same for another architecture. */
async function installDeno(
  architecture: Architecture,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  if (isNative(architecture)) {
    await Deno.copyFile(Deno.execPath(), path);
  } else {
    await using work = await temporaryDirectory();
    const name = `@deno/linux-${architecture.npm}-glibc@${Deno.version.deno}`;
    await unpackNpmArchive(name, work.path, signal);
    await Deno.copyFile(`${work.path}/package/deno`, path);
  }
  await Deno.chmod(path, 0o755);
}

/** All that the tests import, in a cache of the guest's own. */
async function installPackages(
  architecture: Architecture,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  await download([Deno.execPath(), "install", "--quiet"], {
    env: { DENO_DIR: directory },
    signal,
  });
  if (isNative(architecture)) return;
  // Of all packages, only this one has another program for each architecture.
  const name = `@esbuild/linux-${architecture.npm}`;
  const lock = await Deno.readTextFile("deno.lock");
  const [, version] = new RegExp(`"${name}@([^"]+)": {`).exec(lock)!;
  const [registry] = [...Deno.readDirSync(`${directory}/npm`)];
  const target = `${directory}/npm/${registry!.name}/${name}`;
  await using work = await temporaryDirectory();
  await unpackNpmArchive(`${name}@${version}`, work.path, signal);
  await Deno.mkdir(target, { recursive: true });
  await run(["cp", "-R", `${work.path}/package`, `${target}/${version}`]);
}
