/**
 * Ethernet cards of virtual machines.
 *
 * @module
 */

import { type Mode, MODES } from "./modes.ts";

/** One kind of card, and what its driver can do. */
export interface CardKind {
  /** QEMU's device with its properties. */
  readonly model: string;
  /** Receive queues. */
  readonly queues: 1 | 2;
  /** What the two cards are connected by: see `cables.ts`. */
  readonly cable: "socket" | "taps";
  /** The first Linux whose driver runs XDP programs; `undefined`: none does. */
  readonly xdpSince: string | undefined;
  /** An offload of the card that does not work in QEMU, by `ethtool`'s name. */
  readonly brokenOffload?: string;
  /**
   * The driver forgets its XDP program when it sets up its rings. The kernel
   * then keeps the program.
   */
  readonly forgetsXdp?: true;
  /** What is tried with it. */
  readonly modes: readonly Mode[];
  /** What is tried in each mode, after packets of all kinds. */
  readonly trials: readonly Trial[];
  /** What else is unusual about the machine: see `MachineOptions`. */
  readonly machine?: { readonly boot?: string };
}

/**
 * - `life`: the agent is killed and started under a ping; with the first modes,
 *   the card's link and rings are taken away.
 * - `replug`: the card is unplugged and plugged in.
 * - `counters`: they must count what was sent.
 * - `view`: `loden explain` and `loden monitor` must show what they can.
 */
export type Trial = "life" | "replug" | "counters" | "view";

/** What the hypervisor would do for the guest. */
const NO_OFFLOADS = [
  ...["csum", "gso", "guest_csum", "guest_tso4", "guest_tso6", "guest_ecn"],
  ...["guest_ufo", "guest_uso4", "guest_uso6", "host_tso4", "host_tso6"],
  ...["host_ecn", "host_ufo", "host_uso"],
].map((name) => `${name}=off`).join();

const VIRTIO: CardKind = {
  model: "virtio-net-pci",
  queues: 1,
  cable: "socket",
  xdpSince: "4.10",
  modes: MODES,
  trials: ["life"],
};

const [AUTO, XDP, , TUN] = MODES;

/** The cards that QEMU has and Debian's kernels know, and unusual machines. */
export const CARDS = {
  /** A socket passes no super-packets, whatever the card would take. */
  "virtio": VIRTIO,
  "virtio-2-queues": {
    ...VIRTIO,
    model: "virtio-net-pci,mq=on",
    queues: 2,
    cable: "taps",
    modes: [AUTO, XDP, TUN],
  },
  "virtio-2-queues-plain": {
    ...VIRTIO,
    model: `virtio-net-pci,mq=on,${NO_OFFLOADS}`,
    queues: 2,
    cable: "taps",
    modes: [AUTO, XDP],
  },
  "e1000e": { ...VIRTIO, model: "e1000e", xdpSince: undefined },
  /** `vmxnet3_rq_cleanup_all` clears the program and does not release it. */
  "vmxnet3": { ...VIRTIO, model: "vmxnet3", xdpSince: "6.6", forgetsXdp: true },
  /**
   * QEMU writes the checksum of a packet in a tunnel into the outer header: it
   * ignores the lengths of headers that the driver gives (`igb_setup_tx_offloads`).
   */
  "igb": {
    ...VIRTIO,
    model: "igb",
    cable: "taps",
    xdpSince: "5.10",
    brokenOffload: "tx",
  },
  "virtio-replugged": {
    ...VIRTIO,
    modes: [AUTO, XDP, TUN],
    trials: ["replug"],
  },
  /** Confidentiality forbids all that integrity forbids, and more. */
  "virtio-lockdown": {
    ...VIRTIO,
    machine: { boot: "lockdown=confidentiality" },
    modes: [AUTO, XDP, TUN],
    trials: ["view"],
  },
  /**
   * A map per processor has a value for each that could be plugged in. Since
   * Linux 6.9 the command line cannot add any.
   */
  "virtio-66-processors": {
    ...VIRTIO,
    machine: { boot: "possible_cpus=66" },
    modes: [AUTO, XDP],
    trials: ["counters"],
  },
} as const satisfies Readonly<Record<string, CardKind>>;

/** One of {@linkcode CARDS}. */
export type CardName = keyof typeof CARDS;

/** Whether there is such a card. */
export function isCardName(name: string): name is CardName {
  return Object.hasOwn(CARDS, name);
}
