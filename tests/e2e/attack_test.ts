/**
 * An attacker with a shell in a container that has NET_RAW, one on the underlay
 * without a lease, and one with an unprivileged account on a host: none of them
 * poses as another host.
 *
 * The first two hosts run agents. The third is the stranger. A fourth holds a
 * lease and is silent: it is the one whose name is used.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { instancePaths } from "../../agent/instance/instance.ts";
import { loden } from "../rig/agent.ts";
import { placedPrograms } from "../rig/bpf_objects.ts";
import type { Daemon } from "../rig/daemon.ts";
import type { NetNamespace } from "../rig/namespace.ts";
import type { CommandResult } from "../../tools/command.ts";
import { type InnerPacket, innerPacket } from "../support/inner_packet.ts";
import {
  ethernetFrame,
  fragmentationNeeded,
  type FrameOptions,
  type OuterPacket,
  outerPacket,
} from "../support/outer_packet.ts";
import { virtioHeader } from "../support/virtio_header.ts";
import { EACH_PATH } from "./data_paths.ts";
import {
  eventually,
  type Node,
  restart,
  serve,
  statusOf,
  SUBNETS,
} from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { program } from "./programs/path.ts";

const OVERLAY_PORT = 8285;
const CONTAINER_PORT = 7000;
const SILENT = {
  host: "192.0.2.99",
  subnet: "10.1.200.0",
  container: "10.1.200.5",
};
/**
 * Holds a lease as well, and is silent; the second host reaches it by `eth1`,
 * whose other end the stranger has.
 */
const OUTSIDE = {
  host: "198.18.0.99",
  subnet: "10.1.201.0",
  container: "10.1.201.5",
};
const STRANGER = 2;
const HEALTH_PORT = 8401;
/** Of another VLAN than the underlay's. */
const VLAN = 5;
const FORGED_MTU_BYTES = 600;
const VERIFIED_MS = 2_500;
const ARRIVAL_MS = 5_000;
const SECOND_MS = 1_000;
const REPAIR_MS = 15_000;
/** nobody */
const UNPRIVILEGED = "65534";

/** Print what reaches the containers of the first and of the second host. */
let captures: Daemon[];

const suite = new OverlaySuite("attacks", {
  hosts: 3,
  agents: 2,
  // Every packet is counted.
  flags: ["--probe-port=0"],
  prepare: async ({ nodes, rig }) => {
    captures = await Promise.all(nodes.map(({ container }) =>
      serve(
        rig,
        container.namespace,
        program("udp_capture.ts", "0.0.0.0", String(CONTAINER_PORT)),
      )
    ));
    await connectOutside(
      nodes[1]!.host.namespace,
      rig.host(STRANGER).namespace,
    );
    for (const { host, subnet } of [SILENT, OUTSIDE]) {
      await rig.etcd.ctl(
        "put",
        `${SUBNETS}/${subnet}-24`,
        JSON.stringify({ PublicIP: host, PublicIPv6: null }),
      );
    }
    await eventually(
      "the containers' bridge in the first host's rules",
      () => antiSpoofing(nodes[0]!),
      ({ rules }) => rules.join().includes("docker0"),
    );
    for (const node of nodes) {
      await eventually(
        "the silent hosts as peers",
        () => statusOf(node),
        ({ peers }) =>
          [SILENT, OUTSIDE].every(({ host }) =>
            peers.some(({ publicIp }) => publicIp === host)
          ),
      );
    }
  },
});

/** A cable between the second host and the stranger, for a second underlay. */
async function connectOutside(
  host: NetNamespace,
  stranger: NetNamespace,
): Promise<void> {
  await host.ip([
    `link add eth1 type veth peer name eth1 netns ${stranger.name}`,
    "address add 198.18.0.1/24 dev eth1",
    "link set eth1 up",
  ]);
  await stranger.ip(["link set eth1 up"]);
}

let words = 0;
/** Eight bytes that no other packet carries. */
function newWords(): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(
    0,
    BigInt(++words) | 0x617474n << 40n,
  );
  return bytes;
}

/** A packet of the silent host's container to one of ours. */
function inner(
  to: number,
  payload: Uint8Array,
  changes: Partial<InnerPacket> = {},
): Uint8Array {
  return innerPacket({
    source: SILENT.container,
    destination: suite.node(to).container.address,
    port: CONTAINER_PORT,
    payload,
    ...changes,
  });
}

/** A packet from behind the host that only `eth1` leads to, for the second one. */
const outside = (payload: Uint8Array) =>
  outer(1, payload, {
    source: OUTSIDE.host,
    payload: inner(1, payload, { source: OUTSIDE.container }),
  });

/** For `ip`: packets between two addresses only by IPsec. */
function policy(direction: "in" | "out", from: string, to: string): string {
  return `xfrm policy add src ${from} dst ${to} dir ${direction} ` +
    `tmpl src ${from} dst ${to} proto esp mode transport`;
}

/** To run a script of bash's as a user without any rights. */
function userCommand(script: string): string[] {
  return [
    ...["setpriv", `--reuid=${UNPRIVILEGED}`, "--clear-groups"],
    ...["--inh-caps=-all", "bash", "-c", script],
  ];
}

function asUser(
  namespace: NetNamespace,
  script: string,
): Promise<CommandResult> {
  return namespace.attempt(userCommand(script));
}

/** It in a datagram of the silent host. */
function outer(
  to: number,
  payload: Uint8Array,
  changes: Partial<OuterPacket> = {},
): Uint8Array {
  return outerPacket({
    source: SILENT.host,
    destination: suite.rig.host(to).address,
    port: OVERLAY_PORT,
    payload: inner(to, payload),
    ...changes,
  });
}

interface SendOptions extends Partial<FrameOptions> {
  /** `eth0` by default. */
  readonly device?: string;
  /** A VLAN whose tag is not in the frame. */
  readonly tagBeside?: number;
}

/** Sends packets out of a namespace, to the gateway's or another MAC. */
async function send(
  from: NetNamespace,
  to: string,
  packets: readonly Uint8Array[],
  { device = "eth0", tagBeside, ...changes }: SendOptions = {},
): Promise<void> {
  const macs = {
    sourceMac: await macOf(from, device),
    destinationMac: to,
  };
  const frames = packets.map((packet) => [
    ...virtioHeader({}),
    ...ethernetFrame(packet, { ...macs, ...changes }),
  ]);
  const command = tagBeside === undefined
    ? program("frame_inject.ts", device)
    : program("vlan_inject.ts", device, String(tagBeside));
  await from.run(command, {
    stdin: frames.map((bytes) => new Uint8Array(bytes).toHex()).join("\n") +
      "\n",
  });
}

async function macOf(
  namespace: NetNamespace,
  device: string,
): Promise<string> {
  const path = `/sys/class/net/${device}/address`;
  return (await namespace.run(["cat", path])).trim();
}

/** From the first host's container, to its bridge. */
async function sendFromContainer(...packets: Uint8Array[]): Promise<void> {
  const { container, host } = suite.node(0);
  const bridge = await macOf(host.namespace, "docker0");
  await send(container.namespace, bridge, packets);
}

/** From the stranger, to the second host's device of the same name. */
async function sendFromStranger(
  device: string,
  packets: readonly Uint8Array[],
  changes: SendOptions = {},
): Promise<void> {
  const to = await macOf(suite.node(1).host.namespace, device);
  const { namespace } = suite.rig.host(STRANGER);
  await send(namespace, to, packets, { ...changes, device });
}

const arrivals = (at: number, payload: Uint8Array) =>
  captures[at]!.log().split(payload.toHex()).length - 1;

/**
 * Waits until a good packet has come the same way, behind the others, and looks
 * that nothing else has.
 */
async function nothingArrives(
  at: number,
  payloads: readonly Uint8Array[],
): Promise<void> {
  const good = newWords();
  const { container, host } = suite.node(1 - at);
  const bridge = await macOf(host.namespace, "docker0");
  const source = container.address;
  await send(container.namespace, bridge, [inner(at, good, { source })]);
  await captures[at]!.until(
    "the good packet in the container",
    () => arrivals(at, good) === 1,
    ARRIVAL_MS,
  );
  assertEquals(
    payloads.map((payload) => arrivals(at, payload)),
    payloads.map(() => 0),
  );
}

async function counter(at: number, name: string): Promise<number> {
  return (await statusOf(suite.node(at))).backend!.counters[name]!;
}

/** What the agent of the first host keeps and lists. */
async function antiSpoofing(
  { agent, host }: Node = suite.node(0),
): Promise<{ state: string; rules: string[] }> {
  const { stdout } = await loden(host.namespace, [
    ...["firewall", "show", "--json"],
    `--run-dir=${agent.files.runDirectory}`,
  ]);
  const { sets } = JSON.parse(stdout);
  return sets.find((set: { purpose: string; isChosen: boolean }) =>
    set.purpose === "anti-spoofing" && set.isChosen
  );
}

suite.each(EACH_PATH, (test, { traits }) => {
  test("the rules against spoofing are listed, and name the underlay and the containers' bridge", async () => {
    const { rules, state } = await antiSpoofing();
    assertEquals(state, "in-place");
    assertMatch(rules.join("\n"), /eth0[^]*8285/);
  });

  test("a container cannot speak as another host, to a third one or to its own", async () => {
    for (const to of [1, 0]) {
      const payload = newWords();
      await sendFromContainer(outer(to, payload));
      await nothingArrives(to, [payload]);
    }
  });

  test("a container cannot speak as its own host either, nor in fragments or from another port", async () => {
    const payloads = [newWords(), newWords()];
    const own = { source: suite.node(0).container.address };
    await sendFromContainer(
      outer(1, payloads[0]!, {
        ...own,
        payload: inner(1, payloads[0]!, own),
      }),
      outer(1, payloads[1]!, { sourcePort: 40_000 }),
    );
    await nothingArrives(1, payloads);
  });

  test("a container cannot send into the overlay from another host's addresses, from its own host's, or from outside", async () => {
    const own = suite.node(0).container.address.split(".").slice(0, 3);
    const sources = [
      SILENT.container,
      suite.node(1).container.address.replace(/\d+$/, "77"),
      [...own, 0].join("."),
      [...own, 1].join("."),
      "203.0.113.9",
    ];
    const payloads = sources.map(() => newWords());
    await sendFromContainer(
      ...sources.map((source, at) => inner(1, payloads[at]!, { source })),
    );
    await nothingArrives(1, payloads);
  });

  test("rules that are flushed are back within a second, and keep the container silent again", async () => {
    const { host } = suite.node(0);
    const before = await antiSpoofing();
    const inKernel = () =>
      host.namespace.run(["iptables", "-t", "mangle", "-S"]);
    const rules = await inKernel();
    await host.namespace.run(["iptables", "-t", "mangle", "-F"]);
    await eventually(
      "the same rules",
      async () => (await inKernel()).split("\n").toSorted().join("\n"),
      (now) => now === rules.split("\n").toSorted().join("\n"),
      SECOND_MS,
    );
    assertEquals(await antiSpoofing(), before);
    const payload = newWords();
    await sendFromContainer(outer(1, payload));
    await nothingArrives(1, [payload]);
  });

  test("a stranger on the underlay is dropped under its own name", async () => {
    const before = await counter(1, "rx.drop.unknownSender");
    const { address, namespace } = suite.rig.host(STRANGER);
    const payload = newWords();
    await send(namespace, await macOf(suite.rig.host(1).namespace, "eth0"), [
      outer(1, payload, { source: address }),
    ]);
    await eventually(
      "the packet in a counter",
      () => counter(1, "rx.drop.unknownSender"),
      (now) => now === before + 1,
    );
    assertEquals(arrivals(1, payload), 0);
  });

  test("forged words of a router about the way to a peer do not make it narrow", async () => {
    const { address: from, namespace } = suite.rig.host(STRANGER);
    const [own, peer] = [suite.rig.host(0), suite.rig.host(1)];
    const mac = await macOf(own.namespace, "eth0");
    await send(
      namespace,
      mac,
      Array.from({ length: 200 }, () =>
        fragmentationNeeded({
          from,
          to: own.address,
          about: {
            source: own.address,
            destination: peer.address,
            port: OVERLAY_PORT,
          },
          mtuBytes: FORGED_MTU_BYTES,
        })),
    );
    // As long as it takes to ask the peer, and the agent to look again.
    await new Promise((resolve) => setTimeout(resolve, VERIFIED_MS));
    const { container } = suite.node(0);
    const { address } = suite.node(1).container;
    const { exitCode, stdout } = await container.namespace.attempt([
      ...["ping", "-c", "3", "-i", "0.2", "-W", "2", "-M", "do"],
      ...["-s", "1400", address],
    ]);
    assertEquals(exitCode, 0, stdout);
  });

  test("an unprivileged user of a host cannot speak as another one's container", async () => {
    const before = await counter(0, "rx.drop.wrongSource");
    const payload = newWords();
    const { host } = suite.node(1);
    const bytes = [...inner(0, payload)]
      .map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
    await asUser(
      host.namespace,
      // One datagram: printf alone would send one for each line.
      `printf '${bytes}' | dd bs=64k iflag=fullblock status=none > ` +
        `/dev/udp/${suite.rig.host(0).address}/${OVERLAY_PORT}`,
    );
    await eventually(
      "the packet in a counter",
      () => counter(0, "rx.drop.wrongSource"),
      (now) => now === before + 1,
    );
    assertEquals(arrivals(0, payload), 0);
  });

  test("a frame of another VLAN is not taken, whether its tag is in the frame or not", async () => {
    const payloads = [newWords(), newWords(), newWords()];
    const [tagged, twice, beside] = payloads.map((each) => outer(1, each));
    await sendFromStranger("eth0", [tagged!], { vlans: [VLAN] });
    await sendFromStranger("eth0", [twice!], { vlans: [0, VLAN] });
    await sendFromStranger("eth0", [beside!], { tagBeside: VLAN });
    await nothingArrives(1, payloads);
  });

  test("a network that leads to one peer does not speak for a peer behind another one", async () => {
    await eventually(
      "the second underlay in the rules",
      () => antiSpoofing(suite.node(1)),
      ({ rules }) => rules.join().includes("eth1"),
    );
    const placed = await placedPrograms(suite.node(1).host.namespace);
    assertEquals(
      placed.some(({ device }) => device === "eth1"),
      !traits.outerCrossesFirewall,
    );
    const good = newWords();
    await eventually(
      "a packet of the peer that it leads to",
      async () => {
        await sendFromStranger("eth1", [outside(good)]);
        return arrivals(1, good);
      },
      (count) => count > 0,
    );
    const before = await counter(1, "rx.drop.wrongInterface");
    const payloads = [newWords(), newWords()];
    await sendFromStranger("eth1", [outer(1, payloads[0]!)]);
    await sendFromStranger("eth0", [outside(payloads[1]!)]);
    await eventually(
      "both packets in a counter",
      () => counter(1, "rx.drop.wrongInterface"),
      (now) => now === before + 2,
    );
    await nothingArrives(1, payloads);
  });

  test("a device that is no underlay any more brings nothing in, although the overlay device is made again at the same moment", async () => {
    const { namespace } = suite.node(1).host;
    const isWell = async () =>
      /flannel0/.test(await namespace.run(["ip", "link"])) &&
      (await statusOf(suite.node(1))).warnings.every(({ code }) =>
        !code.startsWith("data-path.")
      );
    await namespace.ip([
      "address delete 198.18.0.1/24 dev eth1",
      "link delete flannel0",
    ]);
    await eventually("the overlay device", isWell, (well) => well, REPAIR_MS);
    await eventually(
      "eth1 without programs of the agent",
      () => placedPrograms(namespace),
      (programs) => programs.every(({ device }) => device !== "eth1"),
      REPAIR_MS,
    );
    await eventually(
      "eth1 in no rule",
      () => antiSpoofing(suite.node(1)),
      ({ rules, state }) =>
        state === "in-place" && !rules.join().includes("eth1"),
      REPAIR_MS,
    );
    const payloads = [newWords(), newWords()];
    await sendFromStranger("eth1", [
      outside(payloads[0]!),
      outer(1, payloads[1]!),
    ]);
    await nothingArrives(1, payloads);
  });

  test("IPsec policies that come later decide about packets: none goes out or comes in in clear", async () => {
    const node = suite.node(1);
    const { namespace } = node.host;
    if (!traits.outerCrossesFirewall) {
      // A person who asks for the kernel path gets it in spite of policies.
      await node.agent.stop();
      await restart(suite.rig, node, ["--datapath=auto"]);
      assertEquals((await statusOf(node)).backend!.dataPath, "ebpf");
    }
    const own = node.host.address;
    const other = suite.node(0).host.address;
    await namespace.ip([
      policy("in", SILENT.host, own),
      policy("out", own, other),
    ]);
    await eventually(
      "the path that goes by policies",
      () => statusOf(node),
      ({ backend, warnings }) =>
        backend?.dataPath === "tun" &&
        (traits.outerCrossesFirewall ||
          warnings.some(({ code }) => code === "data-path.ipsec")),
    );
    const payload = newWords();
    await sendFromStranger("eth0", [outer(1, payload)]);
    await nothingArrives(1, [payload]);
    const before = await counter(0, "rx.packets");
    const { exitCode } = await node.container.namespace.attempt([
      ...["ping", "-c", "2", "-i", "0.2", "-W", "1"],
      suite.node(0).container.address,
    ]);
    assertEquals(exitCode, 1);
    assertEquals(await counter(0, "rx.packets"), before);
    await namespace.ip(["xfrm policy flush"]);
    await node.agent.stop();
    await restart(suite.rig, node);
  });

  test("an unprivileged user of a host cannot keep an agent from starting, write through it, or trouble its health server", async () => {
    const node = suite.node(1);
    const { directory, namespace } = node.host;
    const { name } = instancePaths("/", "/coreos.com/network");
    const open = `${directory}/open`;
    await namespace.run([
      ...["sh", "-ec"],
      // The way there is for all, as in /tmp.
      `chmod a+x ${directory} ${directory}/..
       mkdir ${open} && chmod 1777 ${open}
       echo untouched >${directory}/victim`,
    ]);
    await asUser(namespace, `ln -s ${directory}/victim ${open}/subnet.env`);
    await node.agent.stop();
    const squatters = [
      `exec -a flanneld sleep 600`,
      `exec perl -MSocket -e 'socket(S, AF_UNIX, SOCK_DGRAM, 0) or die $!;
        bind(S, pack_sockaddr_un("\\0loden/${name}")) or die $!; sleep 600'`,
    ].map((script) =>
      new Deno.Command("ip", {
        args: ["netns", "exec", namespace.name, ...userCommand(script)],
      }).spawn()
    );
    try {
      await eventually(
        "the name of the agent's socket taken",
        () => namespace.run(["cat", "/proc/net/unix"]),
        (sockets) => sockets.includes(`@loden/${name}\n`),
      );
      await restart(suite.rig, node, [
        `--subnet-file=${open}/subnet.env`,
        "--healthz-ip=127.0.0.1",
        `--healthz-port=${HEALTH_PORT}`,
      ]);
      assertStringIncludes(node.agent.process.log(), "agent.claim-ignored");
      assertEquals(
        await Deno.readTextFile(`${directory}/victim`),
        "untouched\n",
      );
      assert((await Deno.lstat(`${open}/subnet.env`)).isFile);
      for (const request of ["GET / HTTP/1.1\\r\\nHost: [", "\\x00\\xff"]) {
        await asUser(
          namespace,
          `exec 3<>/dev/tcp/127.0.0.1/${HEALTH_PORT}
           printf '${request}\\r\\n\\r\\n' >&3
           timeout 5 cat <&3 >/dev/null || true`,
        );
      }
      const { stdout } = await asUser(
        namespace,
        `exec 3<>/dev/tcp/127.0.0.1/${HEALTH_PORT}
         printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`,
      );
      assertMatch(stdout, / 200 /);
      assert(!/\n\s+at /.test(node.agent.process.log()), "a stack trace");
    } finally {
      for (const squatter of squatters) {
        squatter.kill("SIGKILL");
        await squatter.status;
      }
    }
  });

  test("a cleanup removes the rules", async () => {
    const { agent, host } = suite.node(0);
    await agent.stop();
    const { exitCode, stdout } = await loden(host.namespace, [
      ...["cleanup", `--run-dir=${agent.files.runDirectory}`],
    ]);
    assertEquals(exitCode, 0);
    assert(stdout.includes("LODEN-SPOOF"), stdout);
    const rules = await host.namespace.run(["iptables-save"]);
    assert(!rules.includes("LODEN-SPOOF"), rules);
  });
});
