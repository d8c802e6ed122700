/**
 * Two machines with one kernel, a card each and a cable between them: an agent on
 * both, and packets from container to container in each receive mode.
 *
 * @module
 */

import { describeError } from "../../errors.ts";
import { type CableEnd, makeCable } from "./cables.ts";
import { type CardKind, type CardName, CARDS } from "./cards.ts";
import type { KernelImage } from "./kernel_image.ts";
import {
  brokenRow,
  cleanedRows,
  type Origin,
  type Results,
  type Row,
  rowOf,
} from "./rows.ts";
import { type Mode, MODES } from "./modes.ts";
import { type Disks, VirtualMachine } from "./virtual_machine.ts";

/** Longer than this, a card has hung. */
const CARD_MS = 12 * 60_000;

/** With and without a program in the driver. */
const RESET_MODES: readonly Mode[] = [MODES[0], MODES[1]];

const HOST = "sh /opt/loden/tests/kernels/guest/two_hosts.sh";

/** Runs words of the guest's script in a machine. */
type Ask = (machine: VirtualMachine, words: string) => Promise<Results>;

/** Boots two machines and tries each mode. */
export async function runTwoHosts(
  image: KernelImage,
  disks: Disks,
  { card, directory, modes, packaged }: {
    readonly card: CardName;
    readonly directory: string;
    readonly modes: readonly Mode[];
    /** Whether they install the Debian package, and systemd starts the agents. */
    readonly packaged: boolean;
  },
  say: (line: string) => void,
  stop: AbortSignal,
): Promise<Row[]> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(CARD_MS)]);
  const { brokenOffload = "", machine, queues }: CardKind = CARDS[card];
  await using cable = await makeCable(card, `${directory}/${card}`, signal);
  const words = [machine?.boot ?? "", packaged ? "guest.systemd" : ""].join(
    " ",
  );
  const boot = async (end: CableEnd) => {
    const own = `${directory}/${card}-${end}`;
    await Deno.mkdir(own);
    return await VirtualMachine.boot(
      image,
      disks,
      { ...machine, boot: words, directory: own, card: cable.card(end) },
      signal,
    );
  };
  await using pair = await bootPair(boot);
  const { first, second } = pair;
  const machines = [first, second] as const;
  const ask: Ask = (machine, words) => results(machine, words, say, signal);
  const up = (end: CableEnd) => `up ${end} ${queues} ${brokenOffload}`;
  await both(ask(first, up(1)), ask(second, up(2)));
  const rows: Row[] = [];
  for (const mode of modes) {
    const origin: Origin = { card, mode, release: image.release };
    const startedAtMs = performance.now();
    const row = await tryMode(machines, origin, ask, signal).catch(
      (error): Row => {
        signal.throwIfAborted();
        return brokenRow(card, mode, describeError(error));
      },
    );
    say(
      `  ${row.startedWith} on ${card}: ${row.runs}, ${
        row.faults.join(", ") || "ok"
      }, ${Math.round((performance.now() - startedAtMs) / 1000)} s`,
    );
    rows.push(row);
  }
  const ended = await both(ask(first, "cleanup"), ask(second, "cleanup"));
  return cleanedRows(rows, ended);
}

/** Two machines, of which none is left if the other one does not boot. */
async function bootPair(
  boot: (end: CableEnd) => Promise<VirtualMachine>,
): Promise<
  AsyncDisposable & { first: VirtualMachine; second: VirtualMachine }
> {
  const booting = [boot(1), boot(2)] as const;
  const booted = await Promise.allSettled(booting);
  const off = async () => {
    for (const each of booted) {
      if (each.status === "fulfilled") await each.value[Symbol.asyncDispose]();
    }
  };
  try {
    const [first, second] = await Promise.all(booting);
    return { first, second, [Symbol.asyncDispose]: off };
  } catch (error) {
    await off();
    throw error;
  }
}

async function tryMode(
  [first, second]: readonly [VirtualMachine, VirtualMachine],
  origin: Origin,
  ask: Ask,
  signal: AbortSignal,
): Promise<Row> {
  const agent = (end: CableEnd) => `agent ${end} ${origin.mode.join(" ")}`;
  const [here, there] = await both(
    ask(first, agent(1)),
    ask(second, agent(2)),
  );
  const peer = there.container;
  const { queues, trials }: CardKind = CARDS[origin.card];
  const found = [here, await ask(first, `probe ${peer}`)];
  if (queues > 1) {
    const before = await ask(second, "interrupts");
    await ask(first, `flows ${peer}`);
    const after = await ask(second, "interrupts");
    found.push({ queues: difference(after.queues!, before.queues!) });
  }
  if (trials.includes("life")) {
    found.push(await ask(first, `life ${peer}`));
    if (RESET_MODES.includes(origin.mode)) {
      found.push(await ask(first, `reset ${peer}`));
    }
  }
  if (trials.includes("counters")) {
    found.push(await ask(first, `counters ${peer}`));
  }
  if (trials.includes("view")) {
    await ask(first, "listen");
    await ask(second, "stray 1");
    found.push(await ask(first, `view ${here.container} ${peer}`));
  }
  if (trials.includes("replug")) {
    await ask(first, `watch ${peer}`);
    await ask(second, "unplug");
    await second.unplugCard(signal);
    await ask(second, "unplugged");
    await second.plugCard(signal);
    found.push(await ask(second, `plugged 2 ${here.container}`));
    found.push(await ask(first, `watched ${peer}`));
  }
  return rowOf(origin, Object.assign({}, ...found));
}

/** Waits for both, also if one fails: a machine runs one script at a time. */
async function both<T>(left: Promise<T>, right: Promise<T>): Promise<[T, T]> {
  await Promise.allSettled([left, right]);
  return [await left, await right];
}

/** Counters that are separated by blanks. */
function difference(after: string, before: string): string {
  const earlier = before.split(" ").map(Number);
  return after.split(" ").map((count, index) => Number(count) - earlier[index]!)
    .join(" ");
}

/** Runs the guest's script. @throws if it fails, with its last words. */
async function results(
  machine: VirtualMachine,
  words: string,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Results> {
  const lines: string[] = [];
  const code = await machine.run(
    `${HOST} ${words}\n`,
    (line) => void lines.push(line),
    signal,
  );
  if (code !== 0) {
    for (const line of lines) say(`    ${line}`);
    throw new Error(
      `Cannot run "${words}" in the virtual machine: code ${code}`,
    );
  }
  return Object.fromEntries(
    lines.map((line) => /^([a-z_]+)=(.*)$/.exec(line)).filter((match) =>
      match !== null
    ).map(([, name, value]) => [name!, value!.trim()]),
  );
}
