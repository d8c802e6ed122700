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

function requirement(
  purpose: string,
  debianPackage: string,
  programs = [debianPackage],
): Requirement {
  return { purpose, programs, debianPackage };
}

const NAMESPACES = requirement("network namespaces", "iproute2", [
  "ip",
  "bridge",
]);
const OFFLOADS = requirement("offloads of the namespaces' devices", "ethtool");
const ETCD = requirement("a real etcd", "etcd-server", ["etcd"]);
const ETCDCTL = requirement(
  "writing to etcd as an operator does",
  "etcd-client",
  ["etcdctl"],
);
const PING = requirement("round trips", "iputils-ping", ["ping"]);
const IPERF3 = requirement("TCP throughput", "iperf3");
const IPTABLES = requirement("masquerading", "iptables", [
  "iptables",
  "iptables-restore",
]);
const NFTABLES = requirement("masquerading", "nftables", ["nft"]);
const FASTD = requirement("to compare with", "fastd");
const WIREGUARD_GO = requirement("to compare with", "wireguard-go");
const WIREGUARD_TOOLS = requirement(
  "keys and peers of wireguard-go",
  "wireguard-tools",
  ["wg"],
);
const NEBULA = requirement("to compare with", "nebula", [
  "nebula",
  "nebula-cert",
]);
const BUSYBOX = requirement(
  "small programs for tests of the firewall",
  "busybox-static",
  ["busybox"],
);
const BPFTOOL = requirement(
  "looking at the kernel's eBPF with other eyes",
  "bpftool",
);
const PROMETHEUS = requirement(
  "reading the metrics as operators do",
  "prometheus",
  ["prometheus", "promtool"],
);
const FAKETIME = requirement("a wall clock that tests set", "faketime");
const MMDEBSTRAP = requirement(
  "root file systems of hosts in tests",
  "mmdebstrap",
);
const NSPAWN = requirement(
  "hosts with a systemd of their own",
  "systemd-container",
  ["systemd-nspawn"],
);
const SYSTEMD = requirement("checking the units", "systemd", [
  "systemd-analyze",
]);
const DEBHELPER = requirement("the Debian package", "debhelper", [
  "dh",
  "dpkg-shlibdeps",
]);
const SSH_KEYGEN = requirement("signing what is handed out", "openssh-client", [
  "ssh-keygen",
]);
const LINTIAN = requirement("checking the Debian package", "lintian");
const MANDOC = requirement("checking the manual page", "mandoc");
const ZSH = requirement("trying its completion", "zsh");
const FISH = requirement("trying its completion", "fish");

const CHROMIUM = requirement("the agent's page in a browser", "chromium");
const QEMU: Readonly<Record<"amd64" | "arm64", Requirement>> = {
  amd64: requirement("virtual machines", "qemu-system-x86", [
    "qemu-system-x86_64",
  ]),
  arm64: requirement(
    "virtual machines with arm64 processors",
    "qemu-system-arm",
    ["qemu-system-aarch64"],
  ),
};
const ENOSYS = requirement(
  "a kernel that lacks a system call",
  "util-linux-extra",
  ["enosys"],
);
const KMOD = requirement("which modules a kernel's disks need", "kmod", [
  "depmod",
  "modprobe",
]);
const CPIO = requirement("an initramfs", "cpio");
const XZ = requirement("kernel modules", "xz-utils", ["xz"]);
const ZSTD = requirement("kernel modules", "zstd");
const E2FSPROGS = requirement("disks of virtual machines", "e2fsprogs", [
  "mke2fs",
]);

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
