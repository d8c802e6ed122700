/**
 * The rig's mode `wire`: what it puts to the switch's ports, and that it goes.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { measureTcp } from "../../bench/measure/tcp.ts";
import type { NetNamespace } from "../rig/namespace.ts";
import { Rig } from "../rig/rig.ts";
import { createVxlan } from "../rig/vxlan.ts";

const never = new AbortController().signal;

/** `XDP_ATTACHED_DRV` of linux/if_link.h is 1. */
async function nativeXdp(
  namespace: NetNamespace,
  device: string,
): Promise<boolean> {
  const [link] = JSON.parse(
    await namespace.run(["ip", "-json", "link", "show", device]),
  ) as [{ xdp?: { mode: number } }];
  return link.xdp?.mode === 1;
}

async function segments(
  namespace: NetNamespace,
  device: string,
): Promise<boolean> {
  const features = await namespace.run(["ethtool", "-k", device]);
  return /^tcp-segmentation-offload: on$/m.test(features);
}

Deno.test("in mode wire, each port of the switch and no host runs native XDP, until another mode", async () => {
  await using rig = await Rig.create();
  const ports = rig.hosts.map(({ uplink }) => uplink.port);
  const containers = [];
  for (const node of await createVxlan(rig.hosts)) {
    containers.push(await node.host.addContainer(node));
  }
  const [client, server] = containers;
  const link = { client: client!, server: server!, directory: rig.directory };
  for (const mode of ["wire", "super", "wire", "wire", "software"] as const) {
    await rig.setLinkMode(mode);
    for (const port of ports) {
      assertEquals(await nativeXdp(rig.switch, port), mode === "wire", mode);
    }
    for (const { namespace } of rig.hosts) {
      assertEquals(await nativeXdp(namespace, "eth0"), false);
      assertEquals(await segments(namespace, "eth0"), mode === "super", mode);
    }
    const tcp = await measureTcp(link, { seconds: 1, streams: 1 }, never);
    assert(tcp.bytes > 0);
  }
});
