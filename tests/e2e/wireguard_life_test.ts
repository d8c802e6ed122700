/**
 * What a host of a wireguard network keeps when its agent goes, and what it never
 * shows: its private key.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { after, before, describe, it } from "@std/testing/bdd";
import { delay } from "@std/async/delay";
import { x25519PublicKey } from "../../linux/x25519.ts";
import { type Agent, loden } from "../rig/agent.ts";
import { Rig } from "../rig/rig.ts";
import { hasLinkKind } from "../support/link_kind.ts";
import { leaseValue, World } from "./kernel_backend_suite.ts";
import { SteadyTraffic } from "./steady_traffic.ts";
import { assertPings, untilAnswered } from "./traffic.ts";
import { PSK, wireguard } from "./wireguard.ts";

const PATIENCE_MS = 60_000;
const MISSING = /"data path cannot be started yet"/;
const STOP_MS = 30_000;
const PREFIX = "/coreos.com/network";

function testLife(): void {
  let world: World;

  before(async () => {
    world = await World.start({ Type: "wireguard", PSK });
    const { from, to } = world.ends;
    await untilAnswered(from.namespace, to.address);
  });
  after(async () => {
    await world?.[Symbol.asyncDispose]();
  });

  it("loses nothing when the agent is killed or stopped, and started again", async () => {
    const member = world.member(0);
    // A virtual machine without hardware help cannot encrypt more beside agents.
    await using traffic = await SteadyTraffic.start(world.ends, 0.05, 500);
    member.agent.process.kill("SIGKILL");
    await member.agent.process.ended(5_000);
    await world.restart(member);
    assertEquals(await member.agent.stop(STOP_MS), 0);
    await delay(1_000);
    await world.restart(member);
    await traffic.assertNothingLost();
  });

  it("keeps its private key to itself", async () => {
    const { agent, host } = world.member(0);
    const { privateKey, publicKey } = await readKey(agent);
    assertEquals(publicKey, (await wireguard(host, "show")).publicKey);
    const shown = [
      await agent.statusText(),
      await agent.statusText("--json"),
      agent.process.log(),
      await Deno.readTextFile(
        `${agent.files.stateDirectory}/coreos.com-network.json`,
      ),
      await world.rig.etcd.ctl("get", "--prefix", "/"),
      await host.namespace.run(["ip", "-d", "link", "show"]),
    ];
    for (const text of shown) assert(!text.includes(privateKey));
    // The preshared key is in the published config, and in what is kept of it.
    for (const text of shown.slice(0, 3)) assert(!text.includes(PSK));
  });

  it("has another key when its file was removed, and no host keeps the old one", async () => {
    const member = world.member(0);
    const { agent, host } = member;
    const before = (await wireguard(host, "show")).publicKey;
    assertEquals(await agent.stop(STOP_MS), 0);
    await Deno.remove(`${agent.files.stateDirectory}/coreos.com-network.key`);
    await world.restart(member);
    const { from, to } = world.ends;
    await untilAnswered(from.namespace, to.address);
    await assertPings(to.namespace, from.address);
    const now = (await wireguard(host, "show")).publicKey;
    assert(now !== before);
    const { peers } = await wireguard(world.member(1).host, "show");
    assertEquals(peers.map(({ publicKey }) => publicKey), [now]);
  });

  it("is followed by a cleanup that leaves nothing", async () => {
    for (const { agent, host } of world.members) {
      assertEquals(await agent.stop(STOP_MS), 0);
      const { exitCode, stderr } = await loden(host.namespace, [
        "cleanup",
        "--state",
        `--run-dir=${agent.files.runDirectory}`,
        `--state-dir=${agent.files.stateDirectory}`,
        `--etcd-prefix=${PREFIX}`,
      ]);
      assertEquals(exitCode, 0, stderr);
      const links = await host.namespace.run(["ip", "link", "show"]);
      assert(!/flannel/.test(links), links);
      const routes = await host.namespace.run(["ip", "route", "show"]);
      assert(!/proto 76|unreachable/.test(routes), routes);
      const state = [...Deno.readDirSync(agent.files.stateDirectory)];
      assertEquals(state.map(({ name }) => name), []);
    }
  });
}

function testAbsence(): void {
  it("has a key, and a lease with it, before the kernel has WireGuard", async () => {
    await using rig = await Rig.create({ hosts: 1 });
    await rig.startEtcd();
    await rig.publish({
      Network: "10.1.0.0/16",
      Backend: { Type: "wireguard" },
    });
    const host = rig.hosts[0]!;
    const keys: string[] = [];
    for (let start = 0; start < 2; start++) {
      using agent = await rig.startAgent(host, {});
      await agent.process.untilLogged(
        // Each start says it once, in one log.
        new RegExp(`(${MISSING.source}[^]*){${start + 1}}`),
        PATIENCE_MS,
      );
      const { privateKey, publicKey } = await readKey(agent);
      keys.push(publicKey);
      const { lease } = await agent.status();
      const value = await leaseValue(rig, lease!.subnet!.replace("/", "-"));
      assertMatch(value, /"BackendType":"wireguard","BackendData":/);
      assertEquals(JSON.parse(value).BackendData, {
        PublicKey: publicKey,
        Port: 51820,
      });
      assert(!agent.process.log().includes(privateKey));
      assertEquals(await agent.stop(STOP_MS), 0);
    }
    assertEquals(keys[0], keys[1]);
  });
}

/** What the agent has saved, which only its user may read. */
async function readKey(
  { files: { stateDirectory } }: Agent,
): Promise<{ privateKey: string; publicKey: string }> {
  const path = `${stateDirectory}/coreos.com-network.key`;
  const file = await Deno.stat(path);
  assertEquals(file.mode! & 0o7777, 0o600);
  const { privateKey } = JSON.parse(await Deno.readTextFile(path));
  assertMatch(privateKey, /^[A-Za-z0-9+/]{43}=$/);
  const bytes = x25519PublicKey(Uint8Array.fromBase64(privateKey));
  return { privateKey, publicKey: bytes.toBase64() };
}

// On a kernel without WireGuard:
// deno task test:kernels 6.12 tests/e2e/wireguard_life_test.ts
if (hasLinkKind("wireguard")) {
  describe("the life of a wireguard host", testLife);
} else {describe(
    "a wireguard host without WireGuard in the kernel",
    testAbsence,
  );}
