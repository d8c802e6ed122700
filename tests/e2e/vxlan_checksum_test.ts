/**
 * The most frequent trouble with VXLAN: network cards whose drivers write wrong
 * checksums into packets in a tunnel.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Rig } from "../rig/rig.ts";
import { serve } from "./overlay.ts";
import { program } from "./programs/path.ts";
import { assertPings, assertTcp, untilAnswered } from "./traffic.ts";

const SPOIL = fromFileUrl(
  new URL("../rig/programs/xdp_spoil.ts", import.meta.url),
);
const PORT = "7009";

Deno.test("where the cards spoil inner checksums, only --vxlan-tx-checksum=off brings TCP across", async () => {
  await using rig = await Rig.create({ hosts: 2 });
  await rig.startEtcd();
  await rig.publish({ Network: "10.1.0.0/16", Backend: { Type: "vxlan" } });
  await rig.setLinkMode("software");
  const ports = rig.hosts.map(({ uplink }) => uplink.port);
  await rig.switch.run([Deno.execPath(), "run", "-A", SPOIL, ...ports]);
  const agents = [];
  const containers = [];
  for (const host of rig.hosts) {
    const agent = await rig.startAgent(host, {
      flags: ["--vxlan-tx-checksum=on"],
    });
    await agent.ready();
    agents.push(agent);
    containers.push(await host.addContainer(await agent.bridge()));
  }
  const [from, to] = containers;
  const ends = { rig, from: from!, to: to! };
  await untilAnswered(from!.namespace, to!.address);
  {
    await using _server = await serve(
      rig,
      to!.namespace,
      program("tcp_digest.ts", PORT),
    );
    const { exitCode } = await from!.namespace.attempt(
      ["timeout", "4", ...program("tcp_send.ts", to!.address, PORT, "1")],
    );
    assertEquals(exitCode, 124);
  }
  for (const [index, host] of rig.hosts.entries()) {
    await agents[index]!.stop();
    agents[index]![Symbol.dispose]();
    const agent = await rig.startAgent(host, {
      flags: ["--vxlan-tx-checksum=off"],
    });
    await agent.ready();
    const { backend } = await agent.status();
    assertEquals(
      backend!.details!["inner checksums by the card"],
      "off (--vxlan-tx-checksum=off)",
    );
  }
  await assertPings(from!.namespace, to!.address);
  await assertTcp(ends, 10);
});
