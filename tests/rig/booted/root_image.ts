/**
 * The root file system of booted hosts: Debian with systemd and Docker, made
 * once from Debian's packages and kept outside of the source tree.
 *
 * @module
 */

import { attempt, CommandError } from "../../../tools/command.ts";
import { cached, exists } from "../../support/cache.ts";
import { mmdebstrap } from "../../support/mmdebstrap.ts";

/** What a booted host has beyond Debian's minimum. */
const PACKAGES = [
  "busybox-static",
  "dbus",
  "docker-cli",
  "docker.io",
  "iperf3",
  "iproute2",
  "iptables",
  "iputils-ping",
  "nftables",
  "procps",
  "redis-server",
  "systemd",
  "systemd-sysv",
  "udev",
];

/**
 * Modules, most kernel variables and the devices that are there at boot are the
 * machine's, which is not the host's to change; redis runs in containers only.
 */
const MASKED_UNITS = [
  "systemd-modules-load.service",
  "systemd-sysctl.service",
  "systemd-udev-trigger.service",
  "redis-server.service",
];

/**
 * What nspawn mounts as /sys shows the devices of the network namespace that it
 * was started in. A sysfs of the host's own has the right ones; the rest of /sys,
 * the control groups above all, stays.
 */
const OWN_DEVICES_UNIT = "sys-class-net.service";
const OWN_DEVICES = `[Unit]
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
ExecStart=mkdir /run/sysfs
ExecStart=mount -t sysfs sysfs /run/sysfs
ExecStart=mount --bind /run/sysfs/class/net /sys/class/net
ExecStart=mount --bind /run/sysfs/devices/virtual/net /sys/devices/virtual/net
`;

/** Raised whenever {@linkcode prepare} does something else than before. */
const RECIPE = 2;

/**
 * The directory with the root file system, made when it is not there: half a
 * minute, and the machine's package sources must answer. Nobody may write to it.
 */
export async function ensureRootImage(signal?: AbortSignal): Promise<string> {
  const { codename, sources } = await findDebian();
  const key = [RECIPE, codename, PACKAGES];
  return await cached("booted-host", key, async (directory) => {
    await mmdebstrap(
      [`--include=${PACKAGES.join()}`, codename, directory, sources],
      signal,
    );
    await prepare(directory);
  });
}

/** Each host is to be one of its own, on a network that others have made. */
async function prepare(root: string): Promise<void> {
  await Deno.writeTextFile(`${root}/etc/machine-id`, "");
  await Deno.remove(`${root}/etc/hostname`);
  const units = `${root}/etc/systemd/system`;
  for (const unit of MASKED_UNITS) {
    await Deno.remove(`${units}/${unit}`).catch(ignoreNotFound);
    await Deno.symlink("/dev/null", `${units}/${unit}`);
  }
  await Deno.writeTextFile(`${units}/${OWN_DEVICES_UNIT}`, OWN_DEVICES);
  const wants = `${units}/sysinit.target.wants`;
  await Deno.mkdir(wants, { recursive: true });
  await Deno.symlink(`../${OWN_DEVICES_UNIT}`, `${wants}/${OWN_DEVICES_UNIT}`);
  await Deno.chmod(root, 0o755);
}

async function findDebian(): Promise<{ codename: string; sources: string }> {
  const release = await Deno.readTextFile("/etc/os-release");
  const codename = /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1];
  if (codename === undefined) {
    throw new Error(
      "Cannot make a booted host: this machine must be a Debian: " +
        "/etc/os-release has no VERSION_CODENAME",
    );
  }
  const modern = "/etc/apt/sources.list.d/debian.sources";
  const sources = await exists(modern) ? modern : "/etc/apt/sources.list";
  return { codename, sources };
}

function ignoreNotFound(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/**
 * The files that programs of the image need to run elsewhere: themselves, their
 * libraries and the loader, as paths below the image's root without a slash in
 * front.
 *
 * @param programs absolute paths within the image.
 */
export async function programFiles(
  image: string,
  programs: readonly string[],
): Promise<string[]> {
  const files = new Set<string>();
  for (const program of programs) {
    files.add(program.slice(1));
    const command = ["chroot", image, "ldd", program];
    const { exitCode, stderr, stdout } = await attempt(command);
    // A static program has no libraries, which ldd takes for a failure.
    if (exitCode !== 0 && !/not a dynamic executable/.test(stdout + stderr)) {
      throw new CommandError(command, exitCode, stderr);
    }
    for (const [, path] of stdout.matchAll(/(\/\S+) \(0x[0-9a-f]+\)$/gm)) {
      files.add(path!.slice(1));
    }
  }
  return [...files].sort();
}
