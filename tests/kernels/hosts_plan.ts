/**
 * Which cards and modes `--hosts` tries on a kernel.
 *
 * @module
 */

import { type CardKind, type CardName, CARDS } from "./cards.ts";
import type { Kernel } from "./kernels.ts";
import { type Mode, MODES } from "./modes.ts";

/** A card and what is tried with it. */
export type CardPlan = readonly [CardName, readonly Mode[]];

const [AUTO, XDP, DIRECT, TUN] = MODES;

/**
 * Without words: by the kernel's name, each receive mode of the usual drivers, in
 * half an hour. The user-space path is the same on each card.
 */
const USUAL: Readonly<Record<string, readonly CardPlan[]>> = {
  "5.10": [["virtio", [AUTO, TUN]]],
  "6.1": [["virtio", MODES]],
  "6.12": [["virtio", MODES], ["vmxnet3", [AUTO, XDP, DIRECT]]],
  "6.12-full": [["e1000e", [AUTO, XDP, DIRECT]]],
  "7.3": [["virtio", MODES]],
  "6.12-arm64": [["virtio", [AUTO, XDP]]],
};

/**
 * The cards of a kernel that the command line asks for.
 *
 * @param wanted With a name of either kind, all others of that name count: all
 * modes of a card, all cards with a mode.
 */
export function hostsPlan(
  kernel: Pick<Kernel, "cards" | "name">,
  { cards, modes }: {
    readonly cards: readonly CardName[] | undefined;
    readonly modes: readonly Mode[] | undefined;
  },
): readonly CardPlan[] {
  if (cards === undefined && modes === undefined) {
    return USUAL[kernel.name] ?? [];
  }
  return kernel.cards.filter((card) => cards?.includes(card) ?? true)
    .map((card): CardPlan => {
      const ofCard = (CARDS[card] as CardKind).modes;
      return [card, ofCard.filter((mode) => modes?.includes(mode) ?? true)];
    }).filter(([, modes]) => modes.length > 0);
}
