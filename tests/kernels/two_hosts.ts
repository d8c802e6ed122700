/**
 * Two machines with one kernel, a card each and a cable between them: an agent on
 * both, and packets from container to container in each receive mode.
 *
 * @module
 */

import { type CardName, CARDS } from "./cards.ts";
import type { KernelImage } from "./kernel_image.ts";
import { type Disks, VirtualMachine } from "./virtual_machine.ts";

/** How the agents are started: `--datapath` and `--ebpf-receive`. */
const MODES = [
  ["ebpf", "gro"],
  ["ebpf", "xdp"],
  ["ebpf", "direct"],
  ["tun", "auto"],
] as const;

/** One mode on one card. Losses are in percent, rates in Mbit/s. */
export interface Row {
  readonly card: CardName;
  /** What was asked for: `ebpf gro`. */
  readonly mode: string;
  /** What the agent says that it does: `gro by tcx`, `tun`. */
  readonly runs: string;
  readonly tcp: string;
  readonly udp: string;
  /** Pings that were lost while an agent was killed and started. */
  readonly lostInRestart: string;
  /** What is not as it must be; empty if all is well. */
  readonly faults: readonly string[];
}

const HOST = "sh /opt/loden/tests/kernels/guest/two_hosts.sh";

/**
 * Boots two machines and measures each mode.
 */
export async function runTwoHosts(
  image: KernelImage,
  disks: Disks,
  { card, directory }: {
    readonly card: CardName;
    readonly directory: string;
  },
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Row[]> {
  const boot = async (end: 1 | 2) => {
    const own = `${directory}/${card}-${end}`;
    await Deno.mkdir(own);
    const cable = `${directory}/${card}`;
    return await VirtualMachine.boot(
      image,
      disks,
      { directory: own, card: { model: CARDS[card], cable, end } },
      signal,
    );
  };
  await using first = await boot(1);
  await using second = await boot(2);
  const ask = (machine: VirtualMachine, words: string) =>
    results(machine, words, say, signal);
  await ask(first, "up 1");
  await ask(second, "up 2");
  const rows: Row[] = [];
  for (const [dataPath, receive] of MODES) {
    const agent = `agent ${dataPath} ${receive}`;
    const here = await ask(first, agent);
    const { container } = await ask(second, agent);
    const probe = await ask(first, `probe ${container}`);
    const life = await ask(first, `life ${container}`);
    const row = rowOf(card, [dataPath, receive], {
      ...here,
      ...probe,
      ...life,
    });
    say(
      `  ${row.mode} on ${card}: ${row.runs}, ${row.faults.join(", ") || "ok"}`,
    );
    rows.push(row);
  }
  for (const machine of [first, second]) {
    const { left } = await ask(machine, "cleanup");
    const last = rows.at(-1)!;
    if (left !== "") {
      rows[rows.length - 1] = {
        ...last,
        faults: [...last.faults, `cleanup left ${left}`],
      };
    }
  }
  return rows;
}

/** Runs the guest's script. @throws if it fails, with its last words. */
async function results(
  machine: VirtualMachine,
  words: string,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Record<string, string>> {
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

/** What a packet must do, by the script's names of its results. */
const WANTED: Readonly<Record<string, string>> = {
  ping: "0",
  largest: "0",
  larger: "refused",
  fragments: "0",
};

/** A row of the table. */
export function rowOf(
  card: CardName,
  [dataPath, receive]: readonly [string, string],
  found: Readonly<Record<string, string>>,
): Row {
  const faults = Object.entries(WANTED)
    .filter(([name, value]) => found[name] !== value)
    .map(([name]) => `${name}: ${found[name] ?? "none"}`);
  for (const name of ["tcp", "tcp_back", "udp", "udp_back"]) {
    if (!(Number(found[name]) > 0)) faults.push(`${name}: nothing arrived`);
  }
  // Without the programs, no packet passes while no agent runs.
  if (dataPath === "ebpf" && found.life !== "0") {
    faults.push(`kill and start: ${found.life ?? "all"} % lost`);
  }
  if (found.path !== dataPath) faults.push(`data path: ${found.path}`);
  return {
    card,
    mode: dataPath === "ebpf" ? `ebpf ${receive}` : dataPath,
    runs: dataPath === "ebpf"
      ? `${found.receive} by ${found.attach}`
      : dataPath,
    tcp: `${found.tcp} / ${found.tcp_back}`,
    udp: `${found.udp} / ${found.udp_back}`,
    lostInRestart: `${found.life} %`,
    faults,
  };
}

/** The row of hosts that could not be tried to the end. */
export function brokenRow(card: CardName, fault: string): Row {
  return {
    ...{ card, mode: "", runs: "", tcp: "", udp: "", lostInRestart: "" },
    faults: [fault],
  };
}

/** The rows as a table in Markdown, for docs/kernels.md. */
export function tableOf(
  rows: readonly (Row & { readonly kernel: string })[],
): string {
  const head = [
    "kernel",
    "card",
    "started as",
    "receives",
    "TCP there / back",
    "UDP there / back",
    "lost in a restart",
    "result",
  ];
  const cells = rows.map((row) => [
    row.kernel,
    row.card,
    row.mode,
    row.runs,
    row.tcp,
    row.udp,
    row.lostInRestart,
    row.faults.length === 0 ? "passed" : row.faults.join("; "),
  ]);
  return [head, head.map(() => "---"), ...cells]
    .map((line) => `| ${line.join(" | ")} |`).join("\n");
}
