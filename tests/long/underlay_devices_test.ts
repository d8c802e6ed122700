/**
 * Containers of two hosts whose underlay is a bridge, a bond, a VLAN or all of
 * them, with large and small MTUs, on each data path.
 *
 * A kernel that lacks a kind of device does not run its tests.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import type { DataPath } from "../e2e/data_paths.ts";
import { CONFIG } from "../e2e/overlay.ts";
import {
  assertPings,
  assertTcp,
  assertUdpEcho,
  untilAnswered,
} from "../e2e/traffic.ts";
import type { Container } from "../rig/container.ts";
import { Rig, SWITCH_ADDRESS } from "../rig/rig.ts";
import { hasLinkKind, hasUpperKind } from "../support/link_kind.ts";

/** Of IPv4 and UDP around a packet, and of IPv4 and ICMP around a ping's data. */
const HEADER_BYTES = 28;
const LARGE_MTU = 9_000;
const SMALL_MTU = 1_280;
/** Two agents in an emulated machine with one processor are slow to start. */
const READY_MS = 90_000;

/** How a host comes to `uplink`, and whether packets of it have a tag. */
interface Stack {
  readonly lines: readonly string[];
  readonly isTagged?: boolean;
}

const BOND = (name: string) => [
  `link add ${name} mtu ${LARGE_MTU} type bond mode active-backup miimon 100`,
  "link set eth0 down",
  `link set eth0 master ${name}`,
  `link set ${name} up`,
];
const has = {
  bond: hasLinkKind("bond"),
  vlan: hasUpperKind("vlan", "id", "7"),
  macvlan: hasUpperKind("macvlan"),
};
const STACKS: readonly (readonly [string, boolean, Stack])[] = [
  ["a bridge", true, {
    lines: ["link add uplink type bridge", "link set eth0 master uplink"],
  }],
  ["a macvlan", has.macvlan, {
    lines: ["link add link eth0 name uplink type macvlan mode bridge"],
  }],
  ["a bond", has.bond, { lines: BOND("uplink") }],
  ["a VLAN", has.vlan, {
    lines: ["link add link eth0 name uplink type vlan id 7"],
    isTagged: true,
  }],
  ["a bridge on a VLAN of a bond", has.bond && has.vlan, {
    lines: [
      ...BOND("bond0"),
      "link add link bond0 name bond0.7 type vlan id 7",
      "link set bond0.7 up",
      "link add uplink type bridge",
      "link set bond0.7 master uplink",
    ],
    isTagged: true,
  }],
];

const MODES: readonly [DataPath, string, number][] = [
  ["ebpf", "gro", LARGE_MTU],
  ["ebpf", "xdp", SMALL_MTU],
  ["tun", "auto", LARGE_MTU],
];

async function rigOn({ isTagged = false, lines }: Stack): Promise<Rig> {
  await using cleanup = new AsyncDisposableStack();
  const rig = cleanup.use(
    await Rig.create({ hosts: 2, underlayMtuBytes: LARGE_MTU }),
  );
  if (isTagged) {
    await rig.switch.ip([
      "link add link underlay name underlay.7 type vlan id 7",
      `address delete ${SWITCH_ADDRESS}/24 dev underlay`,
      `address add ${SWITCH_ADDRESS}/24 dev underlay.7`,
      "link set underlay.7 up",
    ]);
  }
  for (const { address, namespace } of rig.hosts) {
    await namespace.ip([
      "address flush dev eth0",
      ...lines,
      `address add ${address}/24 dev uplink`,
      "link set uplink up",
      `route add default via ${SWITCH_ADDRESS}`,
    ]);
  }
  await rig.startEtcd();
  await rig.publish(CONFIG);
  cleanup.move();
  return rig;
}

/** Packets of all sizes, up to the edge and not beyond it. */
async function assertCrossing(
  rig: Rig,
  [from, to]: readonly [Container, Container],
  mtu: number,
) {
  const largest = mtu - HEADER_BYTES - HEADER_BYTES;
  await untilAnswered(from.namespace, to.address);
  await assertPings(from.namespace, to.address);
  for (const [one, other] of [[from, to], [to, from]]) {
    await assertPings(one!.namespace, other!.address, [
      ...["-M", "do", "-s", String(largest)],
    ]);
  }
  const { exitCode, stderr } = await from.namespace.attempt([
    ...["ping", "-n", "-c1", "-W1", "-M", "do", "-s", String(largest + 1)],
    to.address,
  ]);
  assertEquals([exitCode, /too long/.test(stderr)], [1, true]);
  await assertPings(from.namespace, to.address, ["-s", "20000"]);
  await assertTcp({ rig, from, to }, 20);
  await assertUdpEcho({ rig, from, to }, [1, largest, largest + 1, 60_000]);
}

for (const [what, isThere, stack] of STACKS) {
  if (!isThere) continue;
  Deno.test(`with ${what} as the underlay, packets cross on each data path`, async () => {
    await using rig = await rigOn(stack);
    for (const [dataPath, receive, mtu] of MODES) {
      const agents = await Promise.all(rig.hosts.map(async (host) => {
        await host.namespace.ip([`link set uplink mtu ${mtu}`]);
        const agent = await rig.startAgent(host, {
          iface: "uplink",
          flags: [`--datapath=${dataPath}`, `--ebpf-receive=${receive}`],
        });
        await agent.ready(READY_MS);
        return agent;
      }));
      const [from, to] = await Promise.all(
        rig.hosts.map(async (host, index) =>
          await host.addContainer(await agents[index]!.bridge())
        ),
      );
      await assertCrossing(rig, [from!, to!], mtu);
      for (const [index, agent] of agents.entries()) {
        const { details } = (await agent.status()).backend!;
        // Only drivers have native XDP.
        if (dataPath === "ebpf") {
          assertMatch(details!["receive on uplink"]!, /^gro by /);
        }
        assertEquals(await agent.stop(), 0);
        agent[Symbol.dispose]();
        await rig.host(index).removeBridge();
      }
    }
  });
}
