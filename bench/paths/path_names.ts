/**
 * The ways from container to container that can be measured.
 *
 * @module
 */

import type { LinkMode } from "../../tests/rig/link_mode.ts";

/** In the order of the report. */
export const LINK_MODES = ["wire", "software", "super"] as const;
/** Measured unless others are named: as between machines, and on one kernel. */
export const USUAL_MODES = [
  "wire",
  "super",
] as const satisfies readonly LinkMode[];

interface PathKind {
  /** Where it is measured unless `--paths` names it. */
  readonly modes: readonly LinkMode[];
  /** Not Loden, and not the kernel: only with `--peers`. */
  readonly isPeer?: boolean;
  /** Only when `--paths` names it. */
  readonly isNamedOnly?: boolean;
  /** One of the parts that another row shows as a whole: not with `--quick`. */
  readonly isDetail?: boolean;
}

const ONE_BY_ONE = ["wire", "software"] as const;

/** In the order of the report. */
export const PATHS = {
  underlay: { modes: LINK_MODES },
  vxlan: { modes: LINK_MODES },
  "udp-tun": { modes: LINK_MODES },
  "udp-ebpf": { modes: LINK_MODES },
  // Native XDP takes super-packets from a veth, and nothing else brings them.
  "udp-ebpf-xdp": { modes: ONE_BY_ONE, isDetail: true },
  "udp-ebpf-gro": { modes: ONE_BY_ONE, isDetail: true },
  "udp-ebpf-direct": { modes: ["super"], isDetail: true },
  "loden-vxlan": { modes: LINK_MODES, isDetail: true },
  "loden-host-gw": { modes: LINK_MODES, isDetail: true },
  // Their modules are missing from some kernels.
  "loden-ipip": { modes: LINK_MODES, isNamedOnly: true },
  "loden-wireguard": { modes: LINK_MODES, isNamedOnly: true },
  // While `loden monitor` runs on both hosts: beside udp-ebpf.
  "udp-ebpf-monitored": { modes: LINK_MODES, isNamedOnly: true },
  // Hosts that carry packets in different ways.
  "udp-ebpf-to-tun": { modes: LINK_MODES, isNamedOnly: true },
  "udp-tun-to-ebpf": { modes: LINK_MODES, isNamedOnly: true },
  fastd: { modes: LINK_MODES, isPeer: true },
  "wireguard-go": { modes: LINK_MODES, isPeer: true },
  nebula: { modes: LINK_MODES, isPeer: true },
} as const satisfies Record<string, PathKind>;

/** A way from container to container. */
export type PathName = keyof typeof PATHS;

/** All of them, in the order of the report. */
export const PATH_NAMES = Object.keys(PATHS) as readonly PathName[];

/** The names for which something holds, in the report's order. */
export function pathsWhere(wanted: (kind: PathKind) => boolean): PathName[] {
  return PATH_NAMES.filter((name) => wanted(PATHS[name]));
}

/** The paths of Loden's udp backend. */
export type UdpPathName = Extract<PathName, `udp-${string}`>;

/** The paths of the backends that leave the packets to the kernel. */
export type KernelBackendPathName = Extract<PathName, `loden-${string}`>;

/** The paths that are Loden's. */
export type LodenPathName = UdpPathName | KernelBackendPathName;

/** Whether agents run on a path's hosts. */
export function isLodenPathName(name: PathName): name is LodenPathName {
  return name.startsWith("udp-") || isKernelBackendPathName(name);
}

/** Whether a path is one of {@linkcode KernelBackendPathName}. */
export function isKernelBackendPathName(
  name: PathName,
): name is KernelBackendPathName {
  return name.startsWith("loden-");
}

/** A path made of others: its hosts may carry packets in different ways. */
export type MixedPathName =
  | "udp-ebpf-monitored"
  | Extract<PathName, `udp-${string}-to-${string}`>;

/** Whether a path is one of those. */
export function isMixedPathName(name: PathName): name is MixedPathName {
  return name.includes("-to-") || name === "udp-ebpf-monitored";
}

/** The paths that are measured with Docker too. */
export type DockerPathName =
  | "vxlan"
  | Exclude<Extract<PathName, `udp-${string}`>, MixedPathName>;

/** Whether a path is measured with Docker too. */
export function isDockerPathName(name: PathName): name is DockerPathName {
  return name === "vxlan" ||
    name.startsWith("udp-") && !isMixedPathName(name);
}

/** In the order of the report. */
export const DOCKER_PATH_NAMES: readonly DockerPathName[] = PATH_NAMES.filter(
  isDockerPathName,
);
