/**
 * The root file system of the virtual machines, made once from Debian's packages
 * and shared by all of them: it is read only, and each machine writes into an
 * overlay in its memory.
 *
 * @module
 */

import { run } from "../../tools/command.ts";
import { download } from "../../tools/download.ts";
import { cached } from "../support/cache.ts";
import { mmdebstrap } from "../support/mmdebstrap.ts";
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
  "netperf",
  "nftables",
  "procps",
  "tcpdump",
];
const CODENAME = "trixie";
const SOURCES = "/etc/apt/sources.list.d/debian.sources";

/** Raised whenever this module makes something else of the same packages. */
const RECIPE = 1;

/** The path of an ext4 image with Debian, this Deno and the project's packages. */
export async function guestRoot(signal: AbortSignal): Promise<string> {
  const init = await Deno.readTextFile(
    new URL("guest/init.sh", import.meta.url),
  );
  const lock = await Deno.readTextFile("deno.lock");
  const key = [RECIPE, CODENAME, PACKAGES, Deno.version.deno, init, lock];
  return await cached("guest-root", key, async (image) => {
    await using work = await temporaryDirectory();
    const root = `${work.path}/root`;
    await mmdebstrap(
      [`--include=${PACKAGES.join()}`, CODENAME, root, SOURCES],
      signal,
    );
    await Deno.writeTextFile(`${root}/usr/local/sbin/guest-init`, init, {
      mode: 0o755,
    });
    await Deno.mkdir(`${root}/opt/loden`);
    await Deno.copyFile(Deno.execPath(), `${root}/usr/local/bin/deno`);
    await run(["chmod", "755", `${root}/usr/local/bin/deno`], { signal });
    await installPackages(`${root}/opt/deno`, signal);
    await makeDisk(root, image, signal);
  });
}

/** All that the tests import, in a cache of the guest's own. */
async function installPackages(
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  await download([Deno.execPath(), "install", "--quiet"], {
    env: { DENO_DIR: directory },
    signal,
  });
}
