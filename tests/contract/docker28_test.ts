/**
 * The rules that let the overlay past the drops of a real Docker 28, on two hosts
 * whose overlay is made by hand: by a VXLAN, then by plain routes.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { FirewallRules } from "../../host/firewall/firewall.ts";
import { IptablesDockerPass } from "../../host/firewall/iptables_docker_pass.ts";
import { type CommandRunner, HostCommandRunner } from "../../linux/command.ts";
import { parseCidr } from "../../net/cidr.ts";
import { Docker28 } from "../rig/docker28.ts";
import type { NetNamespace } from "../rig/namespace.ts";
import { Rig } from "../rig/rig.ts";
import {
  arriving,
  type DockerMember,
  neighbourOf,
  NO_HOSTS,
  reach,
} from "../support/docker28_world.ts";

const NETWORK = "10.1.0.0/16";
const OPEN = { published: true, unpublished: true };
const CLOSED = { published: false, unpublished: false };
const signal = new AbortController().signal;

Deno.test("a real Docker 28 lets in peers, by an overlay device and without one, and no stranger", async () => {
  await using rig = await Rig.create();
  await using cleanup = new AsyncDisposableStack();
  const members: DockerMember[] = [];
  for (const [at, host] of rig.hosts.entries()) {
    const docker = cleanup.use(
      await Docker28.start(host, {
        bip: `10.1.${at + 1}.1/24`,
        mtuBytes: 1450,
        masquerade: false,
      }),
    );
    assertMatch(await docker.version(), /^28\./);
    const container = await docker.runContainer();
    members.push({ host, container, subnet: `10.1.${at + 1}.0/24` });
  }
  const [first, second] = members as [DockerMember, DockerMember];
  const peer = first.container;
  const stranger = rig.switch;
  await stranger.ip([`route add ${second.subnet} via ${second.host.address}`]);
  /** A stranger gets to published ports of the host, and no further. */
  const assertClosed = async () => {
    assertEquals(await reach(stranger, second), { ...CLOSED, byHost: true });
    for (
      const source of [undefined, NO_HOSTS, neighbourOf(second.container)]
    ) {
      assertEquals(await arriving(stranger, second, source), 0, source);
    }
  };
  const reachByPeer = async () => {
    const { published, unpublished } = await reach(peer.namespace, second);
    return { published, unpublished };
  };

  await route(first, second, "vxlan");
  await route(second, first, "vxlan");
  assertEquals(await reachByPeer(), CLOSED);
  for (const each of members) {
    await letPass(each, { overlayDevice: "overlay0" });
  }
  assertEquals(await reachByPeer(), OPEN);
  await assertClosed();
  assertEquals(await arriving(stranger, second, peer.address), 0);

  await route(first, second, "direct");
  await route(second, first, "direct");
  assertEquals(await reachByPeer(), CLOSED);
  for (const each of members) await letPass(each, { directDevices: ["eth0"] });
  assertEquals(await reachByPeer(), OPEN);
  await assertClosed();
  // Nothing but its address tells a peer on the link from one who forges it.
  assertEquals(await arriving(stranger, second, peer.address), 3);
});

/** Sends what is for another host's containers there. */
async function route(
  { host: { address, namespace }, subnet }: DockerMember,
  to: DockerMember,
  way: "vxlan" | "direct",
): Promise<void> {
  if (way === "direct") {
    await namespace.ip([
      "link delete overlay0",
      `route add ${to.subnet} via ${to.host.address}`,
      // As every backend of the kernel has it: else the default route leads back
      // to addresses that no peer has.
      `route add unreachable ${NETWORK}`,
    ]);
    return;
  }
  await namespace.ip([
    "link add overlay0 type vxlan id 7 dstport 8472 " +
    `local ${address} remote ${to.host.address}`,
    `address add ${subnet.replace("/24", "/32")} dev overlay0`,
    "link set overlay0 up",
    `route add ${to.subnet} via ${to.subnet.replace("/24", "")} ` +
    "dev overlay0 onlink",
  ]);
}

async function letPass(
  { host, subnet }: DockerMember,
  devices: Pick<FirewallRules, "overlayDevice" | "directDevices">,
): Promise<void> {
  const pass = new IptablesDockerPass({ runner: runnerIn(host.namespace) });
  const rules: FirewallRules = {
    network: parseCidr(NETWORK)!,
    subnet: parseCidr(subnet)!,
    masquerade: false,
    forward: true,
    randomFully: false,
    ...devices,
  };
  assert((await pass.ensure(rules, signal)).length > 0);
  assertEquals(await pass.check(rules, signal), []);
}

/** Runs everything in a host. */
function runnerIn({ commandPrefix }: NetNamespace): CommandRunner {
  const runner = new HostCommandRunner();
  const [ip, ...prefix] = commandPrefix;
  return {
    run: (command, words, options) =>
      runner.run(ip!, [...prefix, command, ...words], options),
  };
}
