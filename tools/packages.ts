/**
 * The system programs that the demonstration, the measurements and the tests
 * run, and how to get the missing ones.
 *
 * @module
 */

import { LodenError } from "../errors.ts";

/** A program and the Debian package that brings it. */
export interface Requirement {
  /** What it is needed for, in a few words. */
  readonly purpose: string;
  readonly programs: readonly string[];
  readonly debianPackage: string;
}

const NAMESPACES: Requirement = {
  purpose: "network namespaces",
  programs: ["ip", "bridge"],
  debianPackage: "iproute2",
};
const OFFLOADS: Requirement = {
  purpose: "offloads of the namespaces' devices",
  programs: ["ethtool"],
  debianPackage: "ethtool",
};
const ETCD: Requirement = {
  purpose: "a real etcd",
  programs: ["etcd"],
  debianPackage: "etcd-server",
};
const ETCDCTL: Requirement = {
  purpose: "writing to etcd as an operator does",
  programs: ["etcdctl"],
  debianPackage: "etcd-client",
};
const PING: Requirement = {
  purpose: "round trips",
  programs: ["ping"],
  debianPackage: "iputils-ping",
};
const IPERF3: Requirement = {
  purpose: "TCP throughput",
  programs: ["iperf3"],
  debianPackage: "iperf3",
};
const NETPERF: Requirement = {
  purpose: "TCP request/response of one byte, with percentiles",
  programs: ["netperf", "netserver"],
  debianPackage: "netperf",
};
const IPTABLES: Requirement = {
  purpose: "masquerading",
  programs: ["iptables", "iptables-restore"],
  debianPackage: "iptables",
};
const NFTABLES: Requirement = {
  purpose: "masquerading",
  programs: ["nft"],
  debianPackage: "nftables",
};
const FASTD: Requirement = {
  purpose: "to compare with",
  programs: ["fastd"],
  debianPackage: "fastd",
};
const WIREGUARD_GO: Requirement = {
  purpose: "to compare with",
  programs: ["wireguard-go"],
  debianPackage: "wireguard-go",
};
const WIREGUARD_TOOLS: Requirement = {
  purpose: "keys and peers of wireguard-go",
  programs: ["wg"],
  debianPackage: "wireguard-tools",
};
const NEBULA: Requirement = {
  purpose: "to compare with",
  programs: ["nebula", "nebula-cert"],
  debianPackage: "nebula",
};
const BUSYBOX: Requirement = {
  purpose: "small programs for tests of the firewall",
  programs: ["busybox"],
  debianPackage: "busybox-static",
};
const BPFTOOL: Requirement = {
  purpose: "looking at the kernel's eBPF with other eyes",
  programs: ["bpftool"],
  debianPackage: "bpftool",
};
const PROMETHEUS: Requirement = {
  purpose: "reading the metrics as operators do",
  programs: ["prometheus", "promtool"],
  debianPackage: "prometheus",
};
const FAKETIME: Requirement = {
  purpose: "a wall clock that tests set",
  programs: ["faketime"],
  debianPackage: "faketime",
};
const MMDEBSTRAP: Requirement = {
  purpose: "root file systems of hosts in tests",
  programs: ["mmdebstrap"],
  debianPackage: "mmdebstrap",
};
const NSPAWN: Requirement = {
  purpose: "hosts with a systemd of their own",
  programs: ["systemd-nspawn"],
  debianPackage: "systemd-container",
};
const SYSTEMD: Requirement = {
  purpose: "checking the units",
  programs: ["systemd-analyze"],
  debianPackage: "systemd",
};
const DEBHELPER: Requirement = {
  purpose: "the Debian package",
  programs: ["dh", "dpkg-shlibdeps"],
  debianPackage: "debhelper",
};
const SSH_KEYGEN: Requirement = {
  purpose: "signing what is handed out",
  programs: ["ssh-keygen"],
  debianPackage: "openssh-client",
};
const LINTIAN: Requirement = {
  purpose: "checking the Debian package",
  programs: ["lintian"],
  debianPackage: "lintian",
};
const MANDOC: Requirement = {
  purpose: "checking the manual page",
  programs: ["mandoc"],
  debianPackage: "mandoc",
};
const ZSH: Requirement = {
  purpose: "trying its completion",
  programs: ["zsh"],
  debianPackage: "zsh",
};
const FISH: Requirement = {
  purpose: "trying its completion",
  programs: ["fish"],
  debianPackage: "fish",
};

const CHROMIUM: Requirement = {
  purpose: "the agent's page in a browser",
  programs: ["chromium"],
  debianPackage: "chromium",
};
const QEMU: Readonly<Record<"amd64" | "arm64", Requirement>> = {
  amd64: {
    purpose: "virtual machines",
    programs: ["qemu-system-x86_64"],
    debianPackage: "qemu-system-x86",
  },
  arm64: {
    purpose: "virtual machines with arm64 processors",
    programs: ["qemu-system-aarch64"],
    debianPackage: "qemu-system-arm",
  },
};
const ENOSYS: Requirement = {
  purpose: "a kernel that lacks a system call",
  programs: ["enosys"],
  debianPackage: "util-linux-extra",
};
const KMOD: Requirement = {
  purpose: "which modules a kernel's disks need",
  programs: ["depmod", "modprobe"],
  debianPackage: "kmod",
};
const CPIO: Requirement = {
  purpose: "an initramfs",
  programs: ["cpio"],
  debianPackage: "cpio",
};
const XZ: Requirement = {
  purpose: "kernel modules",
  programs: ["xz"],
  debianPackage: "xz-utils",
};
const ZSTD: Requirement = {
  purpose: "kernel modules",
  programs: ["zstd"],
  debianPackage: "zstd",
};
const E2FSPROGS: Requirement = {
  purpose: "disks of virtual machines",
  programs: ["mke2fs"],
  debianPackage: "e2fsprogs",
};

/** What `deno task test:kernels` runs for machines of these architectures. */
export function requirementsOfKernels(
  architectures: Iterable<"amd64" | "arm64">,
): Requirement[] {
  const machines = [...new Set(architectures)].map((name) => QEMU[name]);
  return [...machines, KMOD, CPIO, XZ, ZSTD, E2FSPROGS, MMDEBSTRAP];
}

/** What `deno task demo` runs. */
export const DEMO_REQUIREMENTS: readonly Requirement[] = [
  NAMESPACES,
  ETCD,
  ETCDCTL,
  PING,
  IPERF3,
  IPTABLES,
];

/** What `deno task bench` runs. */
export const BENCH_REQUIREMENTS: readonly Requirement[] = [
  ...DEMO_REQUIREMENTS,
  OFFLOADS,
  NETPERF,
];

/** What hosts with a systemd of their own need. */
export const BOOTED_HOST_REQUIREMENTS: readonly Requirement[] = [
  MMDEBSTRAP,
  NSPAWN,
];

/** What `deno task bench` runs for a path on top of it. */
const BENCH_PATH_REQUIREMENTS: Readonly<
  Record<string, readonly Requirement[]>
> = {
  fastd: [FASTD],
  "wireguard-go": [WIREGUARD_GO, WIREGUARD_TOOLS],
  nebula: [NEBULA],
};

/** What `deno task bench` runs to measure these paths. */
export function benchRequirements(paths: readonly string[]): Requirement[] {
  return [
    ...BENCH_REQUIREMENTS,
    ...paths.flatMap((path) => BENCH_PATH_REQUIREMENTS[path] ?? []),
  ];
}

/** What `deno task dist` runs to make these files. */
export function requirementsOfDist(
  { formats, signKey }: {
    readonly formats: readonly string[];
    readonly signKey?: string | undefined;
  },
): Requirement[] {
  return [
    ...formats.includes("deb") ? [DEBHELPER] : [],
    ...signKey === undefined ? [] : [SSH_KEYGEN],
  ];
}

/** What `deno task test` runs: all before it begins, as apt works alone. */
export const TEST_REQUIREMENTS: readonly Requirement[] = [
  ...new Set([
    ...DEMO_REQUIREMENTS,
    OFFLOADS,
    NFTABLES,
    BUSYBOX,
    BPFTOOL,
    PROMETHEUS,
    FAKETIME,
    ENOSYS,
    ...BOOTED_HOST_REQUIREMENTS,
    ...requirementsOfKernels(["amd64"]),
    SYSTEMD,
    DEBHELPER,
    SSH_KEYGEN,
    LINTIAN,
    MANDOC,
    ZSH,
    FISH,
    CHROMIUM,
  ]),
];

/** Programs that are missing and cannot be installed. `code` is `packages.missing`. */
export class MissingPackagesError extends LodenError {
  constructor(missing: readonly Requirement[], why: string) {
    const list = missing.map((requirement) =>
      `${requirement.programs.join(", ")} (${requirement.purpose}; Debian ` +
      `package ${requirement.debianPackage})`
    );
    super(
      "packages.missing",
      `Cannot continue: these programs must be installed: ${list.join("; ")}`,
      { hint: why },
    );
  }
}

/** How this module touches the machine. */
export interface PackageHost {
  /** Whether a program of this name is on the search path. */
  hasProgram(name: string): boolean;
  isRoot(): boolean;
  /** Installs packages by apt. Throws when that fails. */
  install(packages: readonly string[], signal: AbortSignal): Promise<void>;
}

/** The requirements of which a program is missing. */
export function missingRequirements(
  requirements: readonly Requirement[],
  hasProgram: (name: string) => boolean,
): Requirement[] {
  return requirements.filter(({ programs }) => !programs.every(hasProgram));
}

/**
 * Makes sure that the programs are there: installs what is missing where that is
 * possible, and throws {@linkcode MissingPackagesError} elsewhere.
 */
export async function ensurePackages(
  requirements: readonly Requirement[],
  host: PackageHost,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const hasProgram = (name: string) => host.hasProgram(name);
  const missing = missingRequirements(requirements, hasProgram);
  if (missing.length === 0) return;
  if (!host.hasProgram("apt-get")) {
    throw new MissingPackagesError(
      missing,
      "there is no apt-get here to install them with",
    );
  }
  if (!host.isRoot()) {
    throw new MissingPackagesError(missing, "run this as root to install them");
  }
  const packages = missing.map((requirement) => requirement.debianPackage);
  report(
    `missing: ${packages.join(", ")}; installing with apt, which may take a ` +
      "minute",
  );
  await host.install(packages, signal);
  const still = missingRequirements(requirements, hasProgram);
  if (still.length > 0) {
    throw new MissingPackagesError(
      still,
      "apt-get ended well, but they are not on the search path",
    );
  }
}
