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

const RECEIVE = [AUTO, XDP, DIRECT];

/**
 * By the kernel's name, what runs if the command line names no card and no mode:
 * each receive mode that the usual drivers have. The user-space path is the same
 * on each card. All of it takes about 25 minutes on two processors that do
 * nothing else.
 */
const USUAL: Readonly<Record<string, readonly CardPlan[]>> = {
  "5.10": [["virtio", [AUTO, TUN]]],
  "6.1": [["virtio", RECEIVE]],
  "6.12": [["virtio", RECEIVE], ["vmxnet3", RECEIVE]],
  "6.12-full": [["e1000e", [AUTO, DIRECT]]],
  "7.3": [["virtio", RECEIVE]],
  "6.12-arm64": [["virtio", RECEIVE]],
  "6.12-arm64-16k": [["virtio", [AUTO]]],
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
