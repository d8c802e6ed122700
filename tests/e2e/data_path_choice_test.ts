/**
 * Which data path an agent takes where the best one does not work, and what it
 * says of it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Agent, AgentOptions } from "../rig/agent.ts";
import type { Container } from "../rig/container.ts";
import { Rig } from "../rig/rig.ts";
import { CONFIG, eventually } from "./overlay.ts";
import { assertTcp, untilAnswered } from "./traffic.ts";

const REFUSED_MS = 10_000;

/** What keeps the kernel's path from working, and how people read of it. */
const OBSTACLES: readonly [string, Partial<AgentOptions>, RegExp][] = [
  [
    "the right to load programs",
    { wrapper: withoutCapabilities("bpf", "sys_admin") },
    /CAP_BPF|permitted|permission/i,
  ],
];

/** A rig with etcd and a configuration. */
async function network(hosts: number): Promise<Rig> {
  await using cleanup = new AsyncDisposableStack();
  const rig = cleanup.use(await Rig.create({ hosts }));
  await rig.startEtcd();
  await rig.publish(CONFIG);
  cleanup.move();
  return rig;
}

/** Runs a program without some of root's capabilities(7). */
function withoutCapabilities(...names: string[]): string[] {
  return [
    "setpriv",
    `--bounding-set=${names.map((name) => `-${name}`).join(",")}`,
  ];
}

/** A host whose agent chooses. */
interface ChoosingNode {
  readonly agent: Agent;
  readonly container: Container;
}

async function choose(
  rig: Rig,
  index: number,
  options: Partial<AgentOptions> = {},
): Promise<ChoosingNode> {
  const host = rig.host(index);
  const flags = ["--datapath=auto"];
  const agent = await rig.startAgent(host, { ...options, flags });
  await agent.ready();
  return { agent, container: await host.addContainer(await agent.bridge()) };
}

/** What a node's status says of its backend. */
async function backendOf(agent: Agent) {
  return (await agent.status()).backend!;
}

/** Packets cross between two nodes. */
async function assertCrossing(rig: Rig, nodes: readonly ChoosingNode[]) {
  const [from, to] = [nodes[0]!.container, nodes[1]!.container];
  await untilAnswered(from.namespace, to.address);
  await assertTcp({ rig, from, to }, 5);
}

Deno.test("auto takes the kernel's data path where it works, and says so", async () => {
  await using rig = await network(2);
  const nodes = [await choose(rig, 0), await choose(rig, 1)];
  await assertCrossing(rig, nodes);
  for (const { agent } of nodes) {
    assertEquals((await backendOf(agent)).dataPath, "ebpf");
    assertMatch(await agent.statusText(), /ebpf/);
    assertMatch(
      agent.process.log(),
      /"event":"backend\.started".*"dataPath":"ebpf"/,
    );
  }
});

for (const [what, options, why] of OBSTACLES) {
  Deno.test(`without ${what}, auto takes the user-space data path, and log and status say why`, async () => {
    await using rig = await network(2);
    const nodes = [await choose(rig, 0, options), await choose(rig, 1)];
    await assertCrossing(rig, nodes);
    const { agent } = nodes[0]!;
    const backend = await backendOf(agent);
    assertEquals(backend.dataPath, "tun");
    assertMatch(backend.reason, why);
    assertMatch(await agent.statusText(), why);
    assert(
      agent.process.log().split("\n").some((line) =>
        line.includes('"event":"backend.fallback"') && why.test(line)
      ),
      agent.process.log(),
    );
    assertEquals((await backendOf(nodes[1]!.agent)).dataPath, "ebpf");
  });

  Deno.test(`without ${what}, an agent that was asked for the kernel's data path is not READY, and says why`, async () => {
    await using rig = await network(1);
    const agent = await rig.startAgent(rig.host(0), {
      ...options,
      flags: ["--datapath=ebpf"],
    });
    const said = await eventually(
      "an error in the log",
      () => Promise.resolve(agent.process.log()),
      (log) =>
        log.split("\n").some((line) =>
          /"level":"(warn|warning|error)"/.test(line) && why.test(line)
        ),
      REFUSED_MS,
    );
    assert(!agent.notifications().includes("READY=1"), said);
    const links = await rig.host(0).namespace.run(["ip", "link", "show"]);
    assert(!links.includes("flannel"), links);
  });
}

Deno.test("without the system call bpf and without /dev/net/tun, the agent names both, and what needs neither", async () => {
  await using rig = await network(1);
  const agent = await rig.startAgent(rig.host(0), {
    flags: ["--datapath=auto"],
    prepare: ["mount -t tmpfs none /dev/net"],
    wrapper: ["enosys", "--syscall=bpf"],
  });
  const [said] = await agent.process.untilLogged(
    /^.*"errorCode":"backend\.no-data-path".*$/m,
    REFUSED_MS,
  );
  for (
    const words of [
      /Cannot open \/dev\/net\/tun: .*ENOENT/,
      /it needs bpf \(since Linux 4\.1\): .*ENOSYS .*CONFIG_BPF_SYSCALL/,
      /modprobe tun.*vxlan.*need neither/,
    ]
  ) assertMatch(said, words);
  assert(!agent.notifications().includes("READY=1"));
});

Deno.test("on an underlay without Ethernet headers, auto takes the user-space data path and names the device", async () => {
  await using rig = await network(1);
  const host = rig.host(0);
  await host.namespace.ip([
    "tuntap add dev bare0 mode tun",
    "address add 198.51.100.11/24 dev bare0",
    "link set bare0 up",
  ]);
  const agent = await rig.startAgent(host, {
    iface: "bare0",
    flags: ["--datapath=auto"],
  });
  await agent.ready();
  const backend = await backendOf(agent);
  assertEquals(backend.dataPath, "tun");
  assertMatch(backend.reason, /bare0/);
  assertMatch(backend.reason, /Ethernet/);
});
