/**
 * How many IPsec policies the kernel has, and what the backend makes of them.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { kernelParts } from "../../backend/udp/kernel_parts.ts";
import { UdpBackend } from "../../backend/udp/udp_backend.ts";
import { systemClock } from "../../linux/clock.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { countIpsecPolicies } from "../../linux/netlink/xfrm.ts";
import { underlayMtu } from "../../net/mtu.ts";
import { parseCidr } from "../../net/cidr.ts";
import { parseIpv4 } from "../../net/ipv4.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";

testInNamespace("IPsec policies", import.meta.url, () => {
  const ip = (line: string) => runSync("ip", line.split(" "));

  Deno.test("policies are counted", () => {
    assertEquals(countIpsecPolicies(), 0);
    for (const direction of ["in", "out"]) {
      ip(`xfrm policy add src 192.0.2.1 dst 192.0.2.2 dir ${direction}`);
    }
    assertEquals(countIpsecPolicies(), 2);
    ip("xfrm policy flush");
    assertEquals(countIpsecPolicies(), 0);
  });

  Deno.test("auto goes by user space where there are policies, and says so", async () => {
    ip("link add eth0 type veth peer name other");
    ip("address add 192.0.2.1/24 dev eth0");
    ip("link set other up");
    ip("link set eth0 up");
    ip("xfrm policy add src 192.0.2.1 dst 192.0.2.2 dir out");
    using rtnetlink = new KernelRtnetlink();
    const link = rtnetlink.links().find(({ name }) => name === "eth0")!;
    const backend = new UdpBackend(kernelParts(rtnetlink, systemClock), {
      port: 8285,
      device: "flannel%d",
      deviceAlias: "loden:/ipsec",
      dataPath: "auto",
      receive: "auto",
      senderCheck: "strict",
      disabledFeatures: [],
    });
    const address = parseIpv4("192.0.2.1")!;
    await backend.start({
      network: parseCidr("10.1.0.0/16")!,
      subnet: parseCidr("10.1.1.0/24")!,
      underlay: {
        interfaceName: link.name,
        interfaceIndex: link.index,
        address,
        publicIp: address,
        mtuBytes: underlayMtu(1500),
        mac: link.mac,
      },
    }, new AbortController().signal);
    try {
      const { dataPath, reason } = backend.status();
      assertEquals(dataPath, "tun");
      assertMatch(reason, /IPsec policies, which it would bypass.*value is 1/);
    } finally {
      await backend.stop();
    }
  });
});
