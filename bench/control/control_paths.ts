/**
 * How the agent carries packets while the control plane is measured.
 *
 * @module
 */

/** In the report's order. */
export const CONTROL_PATHS = [
  "udp-ebpf",
  "udp-tun",
  "vxlan",
  "host-gw",
] as const;

/** One of {@linkcode CONTROL_PATHS}. */
export type ControlPath = typeof CONTROL_PATHS[number];
