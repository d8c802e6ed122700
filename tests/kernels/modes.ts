/**
 * How the agents of two hosts are started.
 *
 * @module
 */

/** `--datapath` and `--ebpf-receive`. */
export const MODES = [
  ["auto", "auto"],
  ["ebpf", "xdp"],
  ["ebpf", "direct"],
  ["tun", "auto"],
] as const;

/** One of {@linkcode MODES}. */
export type Mode = typeof MODES[number];
