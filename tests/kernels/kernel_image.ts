/**
 * What QEMU needs to boot one of Debian's kernels: the kernel, an initramfs that
 * mounts the disks, and a disk with the kernel's modules.
 *
 * @module
 */

import { attempt, run } from "../../tools/command.ts";
import { cached, exists } from "../support/cache.ts";
import type { Architecture } from "./architecture.ts";
import type { DebianArchive } from "./debian_archive.ts";
import { makeDisk, temporaryDirectory } from "./disk.ts";
import type { Kernel } from "./kernels.ts";

/** Raised whenever this module makes something else of the same packages. */
const RECIPE = 2;

/** What the initramfs loads, in this order; a kernel may have one built in. */
const BOOT_MODULES = [
  // ext4 asks for its checksum by the name of an algorithm, which busybox's
  // modprobe does not resolve.
  ...["crc32c_generic", "crc32c_cryptoapi", "libcrc32c"],
  ...["virtio_pci", "virtio_blk", "virtio_console", "ext4", "overlay"],
];

const DECOMPRESSORS: Readonly<Record<string, string[]>> = {
  ".xz": ["xz", "--decompress", "--quiet"],
  ".zst": ["zstd", "--decompress", "--quiet", "--rm"],
};

/** Paths of files. */
export interface KernelImage {
  readonly architecture: Architecture;
  /** `uname -r`. */
  readonly release: string;
  readonly kernel: string;
  readonly initramfs: string;
  /** An ext4 image; its root is what belongs into `/usr/lib/modules`. */
  readonly modules: string;
}

/**
 * Fetches and builds it once: some ten seconds and 30 MB of packages.
 *
 * @param busybox a static one for the kernel's architecture.
 */
export async function kernelImage(
  kernel: Kernel,
  archive: DebianArchive,
  busybox: string,
  signal: AbortSignal,
): Promise<KernelImage> {
  const packages = await Promise.all(
    kernel.packages.map((pattern) => archive.candidates(pattern)),
  );
  const init = await Deno.readTextFile(
    new URL("guest/initramfs_init.sh", import.meta.url),
  );
  const key = [RECIPE, packages, BOOT_MODULES, init];
  const directory = await cached("kernel", key, async (path) => {
    await Deno.mkdir(path);
    await using work = await temporaryDirectory();
    for (const candidates of packages) {
      await archive.unpackFirst(candidates, work.path);
    }
    await build(work.path, path, { busybox, init }, signal);
  });
  const release = await Deno.readTextFile(`${directory}/release`);
  return {
    architecture: kernel.architecture,
    release,
    kernel: `${directory}/kernel`,
    initramfs: `${directory}/initramfs`,
    modules: `${directory}/modules.ext4`,
  };
}

/** What an initramfs has besides modules. */
interface Boot {
  /** The path of a static busybox. */
  readonly busybox: string;
  /** The text of `/init`. */
  readonly init: string;
}

async function build(
  unpacked: string,
  target: string,
  boot: Boot,
  signal: AbortSignal,
): Promise<void> {
  // Older packages have /lib, newer ones /usr/lib.
  const modules = await firstDirectory(
    `${unpacked}/usr/lib/modules`,
    `${unpacked}/lib/modules`,
  );
  const release = modules.split("/").at(-1)!;
  const base = `${unpacked}/base`;
  await Deno.mkdir(`${base}/lib/modules`, { recursive: true });
  await Deno.rename(modules, `${base}/lib/modules/${release}`);
  await run(["depmod", "--basedir", base, release], { signal });
  const inModules = `${base}/lib/modules/${release}/vmlinuz`;
  const kernel = await exists(inModules)
    ? inModules
    : `${unpacked}/boot/vmlinuz-${release}`;
  await Deno.copyFile(kernel, `${target}/kernel`);
  await makeInitramfs(base, release, boot, `${target}/initramfs`, signal);
  await makeDisk(`${base}/lib/modules`, `${target}/modules.ext4`, signal);
  await Deno.writeTextFile(`${target}/release`, release);
}

/** busybox, the modules that the disks need, and `/init`. */
async function makeInitramfs(
  base: string,
  release: string,
  { busybox, init }: Boot,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  await using work = await temporaryDirectory();
  for (const name of ["bin", "dev", "lower", "new", "proc", "sys", "upper"]) {
    await Deno.mkdir(`${work.path}/${name}`);
  }
  await Deno.copyFile(busybox, `${work.path}/bin/busybox`);
  await Deno.writeTextFile(`${work.path}/init`, init, { mode: 0o755 });
  const files: string[] = [];
  for (const name of BOOT_MODULES) {
    for (const file of await moduleFiles(base, release, name, signal)) {
      if (!files.includes(file)) files.push(file);
    }
  }
  const names: string[] = [];
  for (const [index, file] of files.entries()) {
    const name = file.split("/").at(-1)!;
    const [plain, compression = ""] = name.split(/(?<=\.ko)/);
    const copy = `${work.path}/${index}-${name}`;
    await Deno.copyFile(file, copy);
    const decompress = DECOMPRESSORS[compression];
    if (decompress !== undefined) await run([...decompress, copy], { signal });
    names.push(`${index}-${plain}`);
  }
  await Deno.writeTextFile(`${work.path}/modules`, `${names.join("\n")}\n`);
  await run([
    "sh",
    "-c",
    'cd "$1" && find . | cpio --create --format=newc --quiet | gzip -1 >"$2"',
    "sh",
    work.path,
    target,
  ], { signal });
}

/** A module and what it needs, in the order in which they are loaded. */
async function moduleFiles(
  base: string,
  release: string,
  name: string,
  signal: AbortSignal,
): Promise<string[]> {
  const command = ["modprobe", "--set-version", release, "--dirname", base];
  const { exitCode, stdout } = await attempt(
    [...command, "--show-depends", name],
    { signal },
  );
  // A name that this kernel does not have: another one took its place.
  if (exitCode !== 0) return [];
  return [...stdout.matchAll(/^insmod (\S+)/gm)].map(([, path]) => path!);
}

async function firstDirectory(...parents: string[]): Promise<string> {
  for (const parent of parents) {
    if (!await exists(parent)) continue;
    for await (const { name } of Deno.readDir(parent)) {
      return `${parent}/${name}`;
    }
  }
  throw new Error(`Cannot use the kernel: its package must have modules`);
}
