/**
 * Ethernet cards of virtual machines.
 *
 * @module
 */

/** The cards that QEMU has and Debian's kernels know. */
export const CARDS = {
  virtio: "virtio-net-pci",
  e1000e: "e1000e",
  vmxnet3: "vmxnet3",
} as const;

/** One of {@linkcode CARDS}. */
export type CardName = keyof typeof CARDS;
