/**
 * Packets through the ipip backend, without an agent: this namespace is a host,
 * and another one is its peer, set up by `ip`. It is quick enough for a virtual
 * machine without hardware help.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import type { Backend } from "../../backend/backend.ts";
import { formatCidr } from "../../net/cidr.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import type { Peer } from "../../net/peer.ts";
import type { BackendWorld } from "./backend_contract.ts";
import { NftablesAntiSpoofing } from "../../host/firewall/nftables_anti_spoofing.ts";
import { HostCommandRunner } from "../../linux/command.ts";
import { RULES as PLAIN } from "./firewall_contract.ts";
import { runSync } from "./in_namespace.ts";
import { kernelBackendWorlds } from "./kernel_backend_contract.ts";

const never = new AbortController().signal;
/** The host's address and the peer's, inside the overlay. */
const OWN = "10.1.27.0";
const THERE = "10.1.5.1";
/**
 * A repair takes milliseconds; the rest is for a slow machine. The look every
 * five seconds must not be what does it.
 */
const REPAIR_MS = 4_000;

/** Changes to the host, with `ip`. */
const FAULTS: Readonly<Record<string, readonly string[]>> = {
  "the device is deleted": ["link delete flannel.ipip"],
  "the device is set down": ["link set flannel.ipip down"],
  "the device is set down and up": [
    "link set flannel.ipip down",
    "link set flannel.ipip up",
  ],
  "the device's address is removed": ["address flush dev flannel.ipip"],
  "the device's MTU is changed": ["link set flannel.ipip mtu 500"],
  "the peer's route is removed": ["route flush dev flannel.ipip"],
  "the underlay is set down and up": [
    "link set eth0 down",
    "link set eth0 up",
  ],
};

/** A network namespace with a process in it. */
class OtherNamespace implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
  }

  /** Takes a device of this namespace, and runs `ip` with these lines. */
  static async create(
    device: string,
    lines: readonly string[],
  ): Promise<OtherNamespace> {
    const child = new Deno.Command("unshare", {
      args: ["--net", "sh", "-c", "echo ready; exec sleep 600"],
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    await reader.cancel();
    const made = new OtherNamespace(child);
    ip(`link set ${device} netns ${child.pid}`);
    for (const line of lines) made.run("ip", ...line.split(" "));
    return made;
  }

  run(...words: string[]): string {
    return runSync("nsenter", [
      `--net=/proc/${this.#child.pid}/ns/net`,
      ...words,
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }
}

/** A peer behind the far end of the cable. */
function peerHost({ publicIp, subnet }: Peer): Promise<OtherNamespace> {
  assert(formatCidr(subnet).startsWith("10.1.5.0/"));
  const address = formatIpv4(publicIp);
  return OtherNamespace.create("far", [
    `address add ${address}/24 dev far`,
    "link set far up",
    `link add tunnel type ipip local ${address}`,
    `address add ${THERE}/32 dev tunnel`,
    "link set tunnel up",
    "route add 10.1.27.0/24 via 192.0.2.11 dev tunnel onlink",
  ]);
}

/** A container of this host that has a peer's address as well. */
function container({ publicIp }: Peer): Promise<OtherNamespace> {
  ip("link add bridge0 type veth peer name inside");
  ip("address add 10.1.27.1/24 dev bridge0");
  ip("link set bridge0 up");
  const address = formatIpv4(publicIp);
  return OtherNamespace.create("inside", [
    "address add 10.1.27.7/24 dev inside",
    "link set inside up",
    "link set lo up",
    "route add default via 10.1.27.1",
    `address add ${address}/32 dev lo`,
    `link add forged type ipip local ${address} remote 192.0.2.11`,
    "address add 10.1.250.1/24 dev forged",
    "link set forged up",
  ]);
}

/** Packets that the device has received or sent. Not from /sys of another namespace. */
function packets(direction: "rx" | "tx"): number {
  const words = ["-s", "-j", "link", "show", "flannel.ipip"];
  return JSON.parse(runSync("ip", words))[0].stats64[direction].packets;
}

const ip = (line: string) => void runSync("ip", line.split(" "));

/** Whether one ping is answered. */
async function answers(...words: string[]): Promise<boolean> {
  const args = ["-n", "-c1", "-W1", "-I", OWN, ...words, THERE];
  const ping = new Deno.Command("ping", { args, stdout: "null" });
  return (await ping.output()).success;
}

/** A host with the backend, and its peer. */
async function withPeer(
  run: (
    host: { world: BackendWorld; backend: Backend; peer: OtherNamespace },
  ) => Promise<void>,
): Promise<void> {
  await using world = await kernelBackendWorlds("ipip", {
    DirectRouting: false,
  })();
  const [first] = world.peers;
  await using peer = await peerHost(first);
  const backend = world.create();
  await backend.start(world.context, never);
  await backend.apply({ added: [first], changed: [], removed: [] });
  assert(await within(REPAIR_MS, () => answers()), "a first answer");
  try {
    await run({ world, backend, peer });
  } finally {
    await backend.stop();
  }
}

async function within(
  ms: number,
  condition: () => Promise<boolean>,
): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (performance.now() < deadline) {
    if (await condition()) return true;
    await delay(20);
  }
  return false;
}

/** Registers the tests. */
export function ipipPackets(): void {
  Deno.test("ipip carries pings of every size, and TCP", () =>
    withPeer(async ({ peer }) => {
      assert(await answers("-s", "1452", "-M", "do"));
      assert(!await answers("-s", "1453", "-M", "do"));
      assert(await answers("-s", "20000"));
      peer.run("iperf3", "--server", "--one-off", "--daemon");
      runSync("iperf3", ["-c", THERE, "-B", OWN, "-n", "10M"]);
    }));

  for (const [fault, lines] of Object.entries(FAULTS)) {
    Deno.test(`ipip carries packets again when ${fault}`, () =>
      withPeer(async () => {
        for (const line of lines) ip(line);
        const ok = await within(REPAIR_MS, () => answers("-s", "1452"));
        assert(ok, "no answer");
      }));
  }

  Deno.test("ipip loses no packet when the process ends and another one takes over", () =>
    withPeer(async ({ backend, world }) => {
      const pings = new Deno.Command("ping", {
        args: ["-n", "-i0.05", "-c100", "-W2", "-I", OWN, THERE],
        stdout: "piped",
      }).spawn();
      await delay(500);
      // What a SIGKILL leaves as well: nothing is undone by a stop.
      await backend.stop();
      await delay(1_000);
      const later = world.create();
      await later.start(world.context, never);
      const [first] = world.peers;
      await later.apply({ added: [first], changed: [], removed: [] });
      const said = new TextDecoder().decode((await pings.output()).stdout);
      await later.stop();
      assertEquals(/(\d+) received/.exec(said)?.[1], "100", said);
    }));

  Deno.test("ipip with DirectRouting sends to a peer on the link without encapsulation", async () => {
    await using world = await kernelBackendWorlds("ipip", {
      DirectRouting: true,
    })();
    const [first] = world.peers;
    await using _peer = await peerHost(first);
    const backend = world.create();
    await backend.start(world.context, never);
    await backend.apply({ added: [first], changed: [], removed: [] });
    assert(await within(REPAIR_MS, () => answers()));
    assertEquals(packets("tx"), 0);
    await backend.stop();
  });

  Deno.test("ipip takes a container's packets in a peer's name without the rules against spoofing, and not with them", () =>
    withPeer(async ({ backend, world }) => {
      await using forger = await container(world.peers[0]);
      const forge = () => {
        const before = packets("rx");
        forger.run(
          ...["sh", "-c", "ping -n -c3 -i0.2 -W1 10.1.250.2 >/dev/null || :"],
        );
        return packets("rx") - before;
      };
      assert(forge() >= 3);
      const rules = new NftablesAntiSpoofing({
        runner: new HostCommandRunner(),
      });
      const { network, subnet } = world.context;
      await rules.ensure({
        ...PLAIN,
        network,
        subnet,
        overlayDevice: "flannel.ipip",
        antiSpoofing: {
          underlay: backend.underlayUse!()!,
          bridges: ["bridge0"],
        },
      }, never);
      assertEquals(forge(), 0);
      assert(await answers());
      await rules.remove({ network }, never);
    }));
}
