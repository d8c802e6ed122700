/**
 * What a person may ask of the data path.
 *
 * @module
 */

/** `auto` is the best that works here. */
export type DataPathChoice = "auto" | "ebpf" | "tun";

/**
 * How the kernel data path takes packets from the underlay. `auto` is the best
 * for each underlay device: `ebpf/receive_mode.ts`.
 */
export type ReceiveChoice = "auto" | "xdp" | "gro" | "direct";
