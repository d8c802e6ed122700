/**
 * What the rules against spoofing cost a forwarded packet: a host's namespace
 * forwards small packets between a bridge's place and the overlay's, to a device
 * behind which they end, with and without the rules in quick turns. The agent's
 * other rules are there all the time.
 *
 * The sender's time for a packet contains all of its way, in one thread, so that
 * the difference of two neighbouring measurements is the rules' share; other work
 * on the machine changes both.
 *
 * Then what the look at the arriving interface costs the kernel data path: its
 * programs run on one packet, with and without it, in turns.
 *
 *     deno run -A bench/rules/main.ts [PAIRS]
 *
 * @module
 */

import type { FirewallRules, RuleSet } from "../../host/firewall/firewall.ts";
import { IptablesAntiSpoofing } from "../../host/firewall/iptables_anti_spoofing.ts";
import { IptablesFirewall } from "../../host/firewall/iptables_firewall.ts";
import { NftablesFirewall } from "../../host/firewall/nftables_firewall.ts";
import { NftablesAntiSpoofing } from "../../host/firewall/nftables_anti_spoofing.ts";
import { type CommandRunner, HostCommandRunner } from "../../linux/command.ts";
import { parseCidr } from "../../net/cidr.ts";
import { arriving, inner } from "../../tests/contract/packet_fates_contract.ts";
import { ProgramWorld } from "../../tests/support/program_world.ts";
import { uniqueRigName } from "../../tests/rig/names.ts";
import { NetNamespace } from "../../tests/rig/namespace.ts";
import { destroyRig } from "../../tests/rig/teardown.ts";
import { Conversation } from "../measure/conversation.ts";
import { CPU_EACH, onCpuAlone } from "../measure/placement.ts";
import { median } from "../median.ts";

/** Of a program on one packet, in pairs. */
const TEST_RUNS = 20_000;
/** What the change before has left is not measured. */
const WARM_UP_MS = 5;
const MEASURED_MS = 50;
const DEFAULT_PAIRS = 40;

const RULES: FirewallRules = {
  network: parseCidr("10.1.0.0/16")!,
  subnet: parseCidr("10.1.5.0/24")!,
  forward: true,
  masquerade: true,
  randomFully: true,
  overlayDevice: "flannel0",
  antiSpoofing: {
    underlay: { traffic: [{ protocol: 17, port: 8285 }], devices: ["eth0"] },
    bridges: ["docker0"],
  },
};

/** Where packets come from and where they go. */
const DIRECTIONS = {
  "container to peer": {
    sender: "10.1.5.7",
    from: "docker0",
    to: "flannel0",
    destination: "10.1.9.9",
  },
  "peer to container": {
    sender: "10.1.9.9",
    from: "flannel0",
    to: "docker0",
    destination: "10.1.5.7",
  },
} as const;

/** Not the sink's, so that it ends a packet at once. */
const NOBODY_MAC = "02:00:00:00:00:99";

const pairs = Number(Deno.args[0] ?? DEFAULT_PAIRS);
const signal = new AbortController().signal;

/** Of the middle half: interrupts make some runs long. */
function mean(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.slice(sorted.length / 4, sorted.length * 3 / 4);
  return middle.reduce((sum, each) => sum + each, 0) / middle.length;
}

async function connect(
  { host, sender, sink }: Readonly<
    Record<"host" | "sender" | "sink", NetNamespace>
  >,
  { sender: address, from, to, destination }:
    typeof DIRECTIONS[keyof typeof DIRECTIONS],
): Promise<void> {
  await host.sysctl({ "net/ipv4/ip_forward": "1" });
  await host.ip([
    `link add ${from} type veth peer name eth0 netns ${sender.name}`,
    `link add ${to} type veth peer name eth0 netns ${sink.name}`,
    ...[from, to].map((device) => `link set ${device} up`),
    "address add 10.1.5.1/24 dev docker0",
    "address add 10.1.5.0/32 dev flannel0",
    "route add 10.1.0.0/16 dev flannel0",
    `neighbour add ${destination} lladdr ${NOBODY_MAC} dev ${to}`,
  ]);
  await sink.ip(["link set eth0 up"]);
  const mac = await host.run(["cat", `/sys/class/net/${from}/address`]);
  await sender.ip([
    `address add ${address}/32 dev eth0`,
    "link set eth0 up",
    "route add default dev eth0",
    `neighbour add 10.1.9.9 lladdr ${mac.trim()} dev eth0`,
    `neighbour add 10.1.5.7 lladdr ${mac.trim()} dev eth0`,
  ]);
}

/** Each tool: what the agent sets without these rules, and the rules. */
function toolsIn(
  host: NetNamespace,
): [name: string, others: RuleSet, set: RuleSet, table: string][] {
  const inner = new HostCommandRunner();
  const [program, ...words] = host.commandPrefix;
  const runner: CommandRunner = {
    run: (command, args, options) =>
      inner.run(program!, [...words, command, ...args], options),
  };
  const iptables = { command: "iptables-nft" };
  return [
    [
      "iptables (nf_tables)",
      new IptablesFirewall({ runner }, iptables),
      new IptablesAntiSpoofing({ runner }, iptables),
      "mangle",
    ],
    [
      "nft",
      new NftablesFirewall({ runner }),
      new NftablesAntiSpoofing({ runner }),
      "loden-anti-spoofing",
    ],
  ];
}

for (const [name, direction] of Object.entries(DIRECTIONS)) {
  const rig = uniqueRigName();
  try {
    const host = await NetNamespace.create(`${rig}-h1`);
    const sender = await NetNamespace.create(`${rig}-h1-c1`);
    const sink = await NetNamespace.create(`${rig}-h1-c2`);
    await connect({ host, sender, sink }, direction);
    await using source = await Conversation.start(
      sender,
      onCpuAlone(CPU_EACH.client),
      ["udp_send.ts", direction.destination, "9", "messages"],
    );
    const nanosecondsPerPacket = async () => {
      await source.ask(WARM_UP_MS);
      return await source.ask<number>(MEASURED_MS);
    };
    for (const [tool, others, set, table] of toolsIn(host)) {
      const without: number[] = [];
      const differences: number[] = [];
      await others.ensure(RULES, signal);
      for (let pair = 0; pair < pairs; pair++) {
        const first = await nanosecondsPerPacket();
        await set.ensure(RULES, signal);
        const second = await nanosecondsPerPacket();
        without.push(first);
        differences.push(second - first);
        // The chains of a table stay when its rules go.
        await host.run(["nft", "delete", "table", "ip", table]);
      }
      await host.run(["nft", "flush", "ruleset"]);
      console.log(
        `${name}, ${tool}: ${median(without).toFixed(0)} ns, ` +
          `with the rules ${median(differences).toFixed(0)} ns more ` +
          `(median of ${pairs} pairs)`,
      );
    }
  } finally {
    destroyRig(rig);
  }
}

for (const role of ["rx", "xdp"] as const) {
  using plain = new ProgramWorld({ checksInterface: false });
  using checking = new ProgramWorld({ checksInterface: true });
  const packet = arriving(inner());
  const without: number[] = [];
  const differences: number[] = [];
  for (let run = 0; run < TEST_RUNS; run++) {
    const first = plain.durationNs(role, packet);
    without.push(first);
    differences.push(checking.durationNs(role, packet) - first);
  }
  console.log(
    `loden_${role}: ${median(without)} ns, with --sender-interface-check ` +
      `${mean(differences).toFixed(1)} ns more ` +
      `(middle half of ${TEST_RUNS} pairs)`,
  );
}
