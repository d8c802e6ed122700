/**
 * The backends whose packets do not pass through the agent.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Rig } from "../rig/rig.ts";
import { assertPings, untilAnswered } from "./traffic.ts";
import { kernelBackendSuite, leaseValue } from "./kernel_backend_suite.ts";

const UNDERLAY_DOWN_AND_UP = ["ip link set eth0 down", "ip link set eth0 up"];

kernelBackendSuite({
  type: "vxlan",
  lease: /,"BackendData":\{"VNI":1,"VtepMAC":"[0-9a-f:]{17}"\},"LodenHostId":/,
  mtuBytes: 1450,
  faults: {
    "the device is deleted": ["ip link delete flannel.1"],
    "the device is set down": ["ip link set flannel.1 down"],
    "the device is set down and up": [
      "ip link set flannel.1 down",
      "ip link set flannel.1 up",
    ],
    "the device's address is removed": ["ip address flush dev flannel.1"],
    "the device's hardware address is changed": [
      "ip link set flannel.1 address 02:02:02:02:02:02",
    ],
    "the device's neighbours are removed": [
      "ip neighbour flush nud permanent dev flannel.1",
    ],
    "the forwarding database is emptied": [
      "bridge fdb flush dev flannel.1",
    ],
    "the peers' routes are removed": ["ip route flush dev flannel.1"],
    "the underlay is set down and up": UNDERLAY_DOWN_AND_UP,
  },
});

kernelBackendSuite({
  type: "host-gw",
  lease: /"BackendType":"host-gw","LodenHostId":/,
  mtuBytes: 1500,
  faults: {
    "the peers' routes are removed": ["ip route flush proto 76"],
    "the underlay is set down and up": UNDERLAY_DOWN_AND_UP,
  },
});

Deno.test("the alloc backend leases a subnet, writes the files and leaves packets to others", async () => {
  await using rig = await Rig.create({ hosts: 1 });
  await rig.startEtcd();
  await rig.publish({
    Network: "10.1.0.0/16",
    Backend: { Type: "alloc" },
  });
  const host = rig.hosts[0]!;
  const agent = await rig.startAgent(host, {});
  await agent.ready();
  const { FLANNEL_MTU, FLANNEL_SUBNET } = await agent.subnetEnv();
  assertEquals(FLANNEL_MTU, "1500");
  const key = FLANNEL_SUBNET!.replace(/\.1\/24$/, ".0-24");
  assertMatch(
    await leaseValue(rig, key),
    /^\{"PublicIP":"[0-9.]+","PublicIPv6":null,"LodenHostId":/,
  );
  const links = await host.namespace.run(["ip", "link", "show"]);
  assert(!/flannel/.test(links), links);
});

Deno.test("the extension backend runs the config's commands where the administrator allows it, and not elsewhere", async () => {
  await using rig = await Rig.create({ hosts: 2 });
  await rig.startEtcd();
  await rig.publish({
    Network: "10.1.0.0/16",
    Backend: {
      Type: "extension",
      PreStartupCommand: "echo data of a host",
      SubnetAddCommand: "ip route replace $SUBNET via $PUBLIC_IP",
      SubnetRemoveCommand: "ip route delete $SUBNET",
    },
  });
  const [first, second] = rig.hosts;
  const refused = await rig.startAgent(first!, {});
  assertEquals(await refused.process.ended(20_000), 1);
  assertMatch(refused.process.log(), /--allow-extension-commands must be set/);
  refused[Symbol.dispose]();
  const containers = [];
  for (const host of [first!, second!]) {
    const flags = ["--allow-extension-commands"];
    const agent = await rig.startAgent(host, { flags });
    await agent.ready();
    containers.push(await host.addContainer(await agent.bridge()));
    const { FLANNEL_SUBNET } = await agent.subnetEnv();
    const key = FLANNEL_SUBNET!.replace(/\.1\/24$/, ".0-24");
    assertMatch(
      await leaseValue(rig, key),
      /"BackendType":"extension","BackendData":"data of a host","LodenHostId":/,
    );
  }
  const [from, to] = containers;
  await untilAnswered(from!.namespace, to!.address);
  await assertPings(to!.namespace, from!.address);
});
