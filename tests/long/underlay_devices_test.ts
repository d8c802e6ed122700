/**
 * Containers of two hosts whose underlay is a bridge, a bond, a VLAN or all of
 * them, with large and small MTUs, on each data path; ports of a bond that lose
 * their link, and a VLAN that gets another number.
 *
 * A kernel that lacks a kind of device does not run its tests. Debian's have all:
 * `deno task test:kernels 6.12 tests/long/underlay_devices_test.ts`.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import { CONFIG, eventually } from "../e2e/overlay.ts";
import {
  assertPings,
  assertTcp,
  assertUdpEcho,
  untilAnswered,
} from "../e2e/traffic.ts";
import { type Agent, loden } from "../rig/agent.ts";
import type { Container } from "../rig/container.ts";
import { Daemon } from "../rig/daemon.ts";
import type { RigHost } from "../rig/host.ts";
import { Rig, SWITCH_ADDRESS } from "../rig/rig.ts";
import { hasLinkKind, hasUpperKind } from "../support/link_kind.ts";

/** Of IPv4 and UDP around a packet, and of IPv4 and ICMP around a ping's data. */
const HEADER_BYTES = 28;
const LARGE_MTU = 9_000;
const SMALL_MTU = 1_280;
const TCP_MEGABYTES = 5;
/** Two agents in an emulated machine with one processor are slow to start. */
const READY_MS = 90_000;
const ANSWER_MS = 60_000;
/** A bond looks at its ports ten times a second; 802.3ad has to talk first. */
const FAIL_OVER_MS = 4_000;
const VLAN = 7;

/** Flags, the data path and the underlay's MTU. */
type Mode = readonly [readonly string[], string, number];

const AUTO: Mode = [[], "ebpf", LARGE_MTU];
/** Only drivers have native XDP: these devices must use `gro`. */
const XDP: Mode = [
  ["--datapath=ebpf", "--ebpf-receive=xdp"],
  "ebpf",
  SMALL_MTU,
];
const TUN: Mode = [["--datapath=tun"], "tun", LARGE_MTU];

/** How a host comes to `uplink`, and what the switch has for that. */
interface Stack {
  readonly modes?: readonly Mode[];
  readonly lines: readonly string[];
  /** What `uplink` is a VLAN of. */
  readonly vlanOf?: string;
  /** Whether packets of it have a tag. */
  readonly isTagged?: boolean;
  /** Whether a host has two cables, `eth0` and `eth1`. */
  readonly isDouble?: boolean;
  /** The mode of a bond that the switch has, too. */
  readonly aggregate?: string;
}

const BOND = "miimon 100";

/** A bond of both cables, which are down until it has them. */
function bond(name: string, mode: string): string[] {
  return [
    `link add ${name} mtu ${LARGE_MTU} type bond mode ${mode} ${BOND}`,
    ...["eth0", "eth1"].flatMap((port) => [
      `link set ${port} down`,
      `link set ${port} master ${name}`,
    ]),
    `link set ${name} up`,
  ];
}

function vlan(below: string, id = VLAN, name = "uplink"): string {
  return `link add link ${below} name ${name} type vlan id ${id}`;
}

const ACTIVE_BACKUP = "active-backup";
const BALANCE_XOR = "balance-xor xmit_hash_policy layer3+4";
const LACP = "802.3ad lacp_rate fast xmit_hash_policy layer3+4";
const has = {
  bond: hasLinkKind("bond"),
  vlan: hasUpperKind("vlan", "id", String(VLAN)),
  macvlan: hasUpperKind("macvlan"),
};

const STACKS: readonly (readonly [string, boolean, Stack])[] = [
  ["a bridge", true, {
    modes: [AUTO, XDP, TUN],
    lines: ["link add uplink type bridge", "link set eth0 master uplink"],
  }],
  ["a macvlan", has.macvlan, {
    modes: [AUTO, XDP, TUN],
    lines: ["link add link eth0 name uplink type macvlan mode bridge"],
  }],
  ["a bond (active-backup)", has.bond, {
    modes: [AUTO, XDP, TUN],
    lines: bond("uplink", ACTIVE_BACKUP),
    isDouble: true,
  }],
  ["a bond (balance-xor)", has.bond, {
    lines: bond("uplink", BALANCE_XOR),
    isDouble: true,
    aggregate: BALANCE_XOR,
  }],
  ["a bond (802.3ad)", has.bond, {
    lines: bond("uplink", LACP),
    isDouble: true,
    aggregate: LACP,
  }],
  ["a VLAN", has.vlan, {
    modes: [AUTO, XDP, TUN],
    lines: [vlan("eth0")],
    vlanOf: "eth0",
    isTagged: true,
  }],
  ["a VLAN of a bond", has.bond && has.vlan, {
    lines: [...bond("bond0", ACTIVE_BACKUP), vlan("bond0")],
    vlanOf: "bond0",
    isTagged: true,
    isDouble: true,
  }],
  ["a bridge on a VLAN of a bond", has.bond && has.vlan, {
    lines: [
      ...bond("bond0", LACP),
      vlan("bond0", VLAN, "bond0.7"),
      "link set bond0.7 up",
      "link add uplink type bridge",
      "link set bond0.7 master uplink",
    ],
    isTagged: true,
    isDouble: true,
    aggregate: LACP,
  }],
];

/** The switch's end of a host's cables. */
function cablesOf({ uplink: { port } }: RigHost): [string, string] {
  return [port, `${port}b`];
}

async function plugInSecond(host: RigHost): Promise<void> {
  const { namespace } = host.uplink;
  const [, second] = cablesOf(host);
  await namespace.ip([
    `link add ${second} mtu ${LARGE_MTU} type veth ` +
    `peer name eth1 mtu ${LARGE_MTU} netns ${host.namespace.name}`,
    `link set ${second} master underlay up`,
  ]);
}

/** The switch takes both cables of a host for one. */
async function aggregate(host: RigHost, mode: string): Promise<void> {
  const name = `${host.uplink.port}agg`;
  await host.uplink.namespace.ip([
    `link add ${name} mtu ${LARGE_MTU} type bond mode ${mode} ${BOND}`,
    ...cablesOf(host).flatMap((port) => [
      `link set ${port} nomaster down`,
      `link set ${port} master ${name}`,
    ]),
    `link set ${name} master underlay up`,
  ]);
}

/** The switch's address moves to a VLAN of the underlay. */
async function tagSwitch(rig: Rig, id: number, before: string): Promise<void> {
  await rig.switch.ip([
    vlan("underlay", id, `underlay.${id}`),
    `address delete ${SWITCH_ADDRESS}/24 dev ${before}`,
    `address add ${SWITCH_ADDRESS}/24 dev underlay.${id}`,
    `link set underlay.${id} up`,
  ]);
}

async function giveAddress({ address, namespace }: RigHost): Promise<void> {
  await namespace.ip([
    `address add ${address}/24 dev uplink`,
    "link set uplink up",
    `route add default via ${SWITCH_ADDRESS}`,
  ]);
}

async function rigOn(stack: Stack): Promise<Rig> {
  await using cleanup = new AsyncDisposableStack();
  const rig = cleanup.use(
    await Rig.create({ hosts: 2, underlayMtuBytes: LARGE_MTU }),
  );
  if (stack.isTagged) await tagSwitch(rig, VLAN, "underlay");
  for (const host of rig.hosts) {
    if (stack.isDouble) await plugInSecond(host);
    if (stack.aggregate !== undefined) await aggregate(host, stack.aggregate);
    await host.namespace.ip(["address flush dev eth0", ...stack.lines]);
    await giveAddress(host);
  }
  for (const { namespace } of rig.hosts) {
    await untilAnswered(namespace, SWITCH_ADDRESS, ANSWER_MS);
  }
  await rig.startEtcd();
  await rig.publish(CONFIG);
  cleanup.move();
  return rig;
}

/** Packets of all sizes, up to the edge and not beyond it. */
async function assertCrossing(
  rig: Rig,
  [first, second]: readonly [Container, Container],
  mtu: number,
): Promise<void> {
  const largest = mtu - HEADER_BYTES - HEADER_BYTES;
  await untilAnswered(first.namespace, second.address, ANSWER_MS);
  for (const [from, to] of [[first, second], [second, first]] as const) {
    await assertPings(from.namespace, to.address);
    await assertPings(from.namespace, to.address, [
      ...["-M", "do", "-s", String(largest)],
    ]);
    await assertTcp({ rig, from, to }, TCP_MEGABYTES);
    await assertUdpEcho({ rig, from, to }, [1, largest, largest + 1, 60_000]);
  }
  const { exitCode, stderr } = await first.namespace.attempt([
    ...["ping", "-n", "-c1", "-W1", "-M", "do", "-s", String(largest + 1)],
    second.address,
  ]);
  assertEquals([exitCode, /too long/.test(stderr)], [1, true]);
  await assertPings(first.namespace, second.address, ["-s", "20000"]);
}

/** The longest time between two answers of `ping -D`. */
function longestGapMs(output: string): number {
  const times = [...output.matchAll(/^\[([0-9.]+)\] .* bytes from/gm)]
    .map(([, seconds]) => Number(seconds) * 1_000);
  assert(times.length > 1, output);
  return Math.max(...times.slice(1).map((time, i) => time - times[i]!));
}

/** Runs `change` under a ping. @returns the longest time without an answer. */
async function gapUnder(
  rig: Rig,
  [from, to]: readonly [Container, Container],
  change: () => Promise<void>,
): Promise<number> {
  await using pings = new Daemon({
    name: "ping",
    command: [
      ...from.namespace.commandPrefix,
      ...["ping", "-n", "-D", "-i0.05", to.address],
    ],
    logFile: `${rig.directory}/${crypto.randomUUID()}.log`,
  });
  await delay(1_000);
  await change();
  await delay(1_000);
  await untilAnswered(from.namespace, to.address, ANSWER_MS);
  await delay(500);
  return Math.round(longestGapMs(pings.log()));
}

/** The link of each of a host's cables goes in turn. */
async function assertFailOver(
  rig: Rig,
  ends: readonly [Container, Container],
  name: string,
): Promise<void> {
  const host = rig.host(1);
  const { namespace } = host.uplink;
  for (const cable of cablesOf(host)) {
    const gapMs = await gapUnder(
      rig,
      ends,
      () => namespace.ip([`link set ${cable} down`]),
    );
    console.log(`${name}: ${gapMs} ms without answers, ${cable} down`);
    assert(gapMs < FAIL_OVER_MS, `${gapMs} ms`);
    await namespace.ip([`link set ${cable} up`]);
    await delay(FAIL_OVER_MS);
    await untilAnswered(ends[0].namespace, ends[1].address, ANSWER_MS);
  }
}

/** All hosts get VLAN `id` in place of the one before, under agents that run. */
async function assertNextVlan(
  rig: Rig,
  agents: readonly Agent[],
  ends: readonly [Container, Container],
  below: string,
  id: number,
): Promise<void> {
  const logged = agents.map(({ process }) => process.log().length);
  await tagSwitch(rig, id, `underlay.${id - 1}`);
  for (const host of rig.hosts) {
    await host.namespace.ip(["link delete uplink", vlan(below, id)]);
    await giveAddress(host);
  }
  const [first, second] = ends;
  await untilAnswered(first.namespace, second.address, ANSWER_MS);
  await assertPings(second.namespace, first.address);
  for (const [index, { process }] of agents.entries()) {
    await process.until(
      "an agent that follows",
      () => process.log().slice(logged[index]).includes("underlay.changed"),
      ANSWER_MS,
    );
  }
}

/** The agents have ended. */
async function assertNothingLeft(
  rig: Rig,
  agents: readonly Agent[],
): Promise<void> {
  for (const [index, { namespace }] of rig.hosts.entries()) {
    const { exitCode, stderr } = await loden(namespace, [
      "cleanup",
      `--run-dir=${agents[index]!.files.runDirectory}`,
    ]);
    assertEquals(exitCode, 0, stderr);
    const left = async () =>
      (await Promise.all([
        ["ip", "-details", "link", "show"],
        ["ip", "route", "show", "table", "all"],
        ["bpftool", "net", "show"],
        ["tc", "qdisc", "show", "dev", "uplink"],
        ["iptables-save"],
      ].map((command) => namespace.run(command)))).join("").match(
        /flannel\d|loden[:_]|FLANNEL|LODEN|10\.1\.0\.0\/16|clsact/g,
      ) ?? [];
    await eventually("nothing", left, (words) => words.length === 0, ANSWER_MS);
  }
}

for (const [name, isThere, stack] of STACKS) {
  if (!isThere) continue;
  Deno.test(`with ${name} as the underlay, packets cross on each data path`, async () => {
    await using rig = await rigOn(stack);
    let ended: readonly Agent[] = [];
    let id = VLAN;
    for (const [flags, dataPath, mtu] of stack.modes ?? [AUTO, TUN]) {
      const agents = await Promise.all(rig.hosts.map(async (host) => {
        await host.namespace.ip([`link set uplink mtu ${mtu}`]);
        const agent = await rig.startAgent(host, { iface: "uplink", flags });
        await agent.ready(READY_MS);
        return agent;
      }));
      const [first, second] = await Promise.all(
        rig.hosts.map(async (host, index) =>
          await host.addContainer(await agents[index]!.bridge())
        ),
      );
      const ends = [first!, second!] as const;
      const started = performance.now();
      await assertCrossing(rig, ends, mtu);
      for (const agent of agents) {
        const { backend } = await agent.status();
        assertEquals(backend!.dataPath, dataPath);
        if (dataPath === "tun") continue;
        assertMatch(backend!.details!["receive on uplink"]!, /^gro by /);
      }
      const words = `${name}, ${flags.at(-1) ?? "auto"}`;
      console.log(
        `${words}: all crossed, ${Math.round(performance.now() - started)} ms`,
      );
      if (stack.isDouble && mtu === LARGE_MTU) {
        await assertFailOver(rig, ends, words);
      }
      if (stack.vlanOf !== undefined && mtu === LARGE_MTU) {
        id += 1;
        await assertNextVlan(rig, agents, ends, stack.vlanOf, id);
      }
      for (const [index, agent] of agents.entries()) {
        assertEquals(await agent.stop(), 0);
        agent[Symbol.dispose]();
        await rig.host(index).removeBridge();
      }
      ended = agents;
    }
    await assertNothingLeft(rig, ended);
  });
}
