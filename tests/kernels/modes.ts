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

/** One word for it: `auto`, `xdp`, `direct`, `tun`. */
export function modeName([dataPath, receive]: Mode): string {
  return dataPath === "ebpf" ? receive : dataPath;
}

/** The mode of that name. */
export function modeNamed(name: string): Mode | undefined {
  return MODES.find((mode) => modeName(mode) === name);
}
