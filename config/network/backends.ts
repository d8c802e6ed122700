/**
 * The backends that a network config may name.
 *
 * @module
 */

/** The backends of this release. */
export const BACKEND_TYPES = ["udp"] as const;

/** One of {@linkcode BACKEND_TYPES}. */
export type BackendType = typeof BACKEND_TYPES[number];

/** flannel's other backends (compat 2.5), which this release does not have. */
export const FLANNEL_BACKEND_TYPES: readonly string[] = [
  "vxlan",
  "host-gw",
  "alloc",
  "wireguard",
  "ipip",
  "ipsec",
  "extension",
  "tencent-vpc",
  "aws-vpc",
  "gce",
];

/** The default port of the `udp` backend (compat 2.5). */
export const DEFAULT_UDP_PORT = 8285;
