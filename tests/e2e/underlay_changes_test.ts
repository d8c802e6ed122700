/**
 * Cards of the underlay that are replaced under agents that run, and a cable that
 * is out while none does. The first host has the kernel data path, the other one the
 * user-space data path.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { SWITCH_ADDRESS } from "../rig/rig.ts";
import { EACH_PAIR } from "./data_paths.ts";
import { eventually, type Node, restart, statusOf } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { assertPings, untilAnswered } from "./traffic.ts";

const REPAIR_MS = 30_000;
/** From when a card is there until packets cross. */
const FOLLOW_MS = 10_000;
const CABLE_OUT_MS = 2_000;
const suite = new OverlaySuite("underlay changes", {
  // Where `eth0` is not there any more.
  flags: ["--iface-regex=^192[.]0[.]2[.]"],
});
const SETUP = EACH_PAIR.filter(({ dataPaths }) =>
  dataPaths.join() === "ebpf,tun"
);

const ends = () => [suite.node(0).container, suite.node(1).container] as const;

/** The card goes; half a second later there is another one in its place. */
async function replaceCard(
  { host: { address, namespace, uplink } }: Node,
  name: string,
): Promise<void> {
  await uplink.namespace.ip([`link delete ${uplink.port}`]);
  await delay(500);
  // The address is one that the kernel makes up.
  await uplink.namespace.ip([
    `link add ${uplink.port} type veth peer name ${name} netns ${namespace.name}`,
    `link set ${uplink.port} master underlay up`,
  ]);
  await namespace.ip([
    `address add ${address}/24 dev ${name}`,
    `link set ${name} up`,
    `route add default via ${SWITCH_ADDRESS}`,
  ]);
}

suite.each(SETUP, (test) => {
  test("without an agent, packets flow again after a cable was out for two seconds", async () => {
    const node = suite.node(0);
    const { namespace, port } = node.host.uplink;
    node.agent.process.kill("SIGKILL");
    await node.agent.process.ended(5_000);
    await namespace.ip([`link set ${port} down`]);
    await delay(CABLE_OUT_MS);
    await namespace.ip([`link set ${port} up`]);
    await untilAnswered(ends()[0].namespace, ends()[1].address, FOLLOW_MS);
    await restart(suite.rig, node);
  });

  test("cards that are replaced by others, of their name and of another one, carry packets, and the agents follow", async () => {
    const identities = () =>
      Promise.all(suite.nodes.map(async (node) => {
        const { pid, subnet } = await statusOf(node);
        return { pid, subnet };
      }));
    const before = await identities();
    for (const name of ["eth0", "uplink"]) {
      const logged = suite.nodes.map(({ agent }) => agent.process.log().length);
      await Promise.all(suite.nodes.map((node) => replaceCard(node, name)));
      for (const [from, to] of [ends(), ends().toReversed()]) {
        await untilAnswered(from!.namespace, to!.address, FOLLOW_MS);
      }
      for (const [index, node] of suite.nodes.entries()) {
        const { process } = node.agent;
        await process.until(
          `an agent that uses ${name}`,
          () => process.log().slice(logged[index]).includes("underlay.changed"),
          REPAIR_MS,
        );
        await eventually(
          `${name} in the status`,
          () => statusOf(node),
          ({ underlay, warnings }) =>
            underlay?.interface === name && warnings.length === 0,
          REPAIR_MS,
        );
      }
      for (const [from, to] of [ends(), ends().toReversed()]) {
        await untilAnswered(from!.namespace, to!.address, FOLLOW_MS);
        await assertPings(from!.namespace, to!.address);
      }
    }
    assertEquals(await identities(), before);
  });
});
