import { assert, assertEquals } from "@std/assert";
import { type CardKind, CARDS } from "../../kernels/cards.ts";
import { hostsPlan } from "../../kernels/hosts_plan.ts";
import { KERNELS } from "../../kernels/kernels.ts";
import { modeName, modeNamed } from "../../kernels/modes.ts";

const NOTHING = { cards: undefined, modes: undefined };
const named = (kernel: string) => KERNELS.find(({ name }) => name === kernel)!;
const modesOf = (plan: ReturnType<typeof hostsPlan>) =>
  plan.map(([card, modes]) => [card, modes.map(modeName).join()]);

Deno.test("without words, what is usual is what the kernel and the card can", () => {
  for (const kernel of KERNELS) {
    const plan = hostsPlan(kernel, NOTHING);
    assert(plan.length > 0, kernel.name);
    for (const [card, modes] of plan) {
      assert(kernel.cards.includes(card), `${kernel.name} ${card}`);
      const ofCard = (CARDS[card] as CardKind).modes;
      for (const mode of modes) assert(ofCard.includes(mode), card);
    }
  }
  assertEquals(modesOf(hostsPlan(named("6.12"), NOTHING)), [
    ["virtio", "auto,xdp,direct"],
    ["vmxnet3", "auto,xdp,direct"],
  ]);
});

Deno.test("a card is tried in all its modes, a mode with all cards that have it", () => {
  const kernel = named("6.12-full");
  const igb = { cards: ["igb"] as const, modes: undefined };
  assertEquals(modesOf(hostsPlan(kernel, igb)), [
    ["igb", "auto,xdp,direct,tun"],
  ]);
  const tun = [modeNamed("tun")!];
  assertEquals(modesOf(hostsPlan(kernel, { cards: undefined, modes: tun })), [
    ["e1000e", "tun"],
    ["igb", "tun"],
  ]);
  const plain = ["virtio-2-queues-plain"] as const;
  assertEquals(hostsPlan(named("6.12"), { cards: plain, modes: tun }), []);
});
