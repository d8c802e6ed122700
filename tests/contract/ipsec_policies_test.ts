/**
 * How many IPsec policies the kernel has, and what the backend makes of them.
 *
 * @module
 */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { kernelParts } from "../../backend/udp/kernel_parts.ts";
import { IpsecPoliciesError } from "../../backend/udp/ebpf/errors.ts";
import { UdpBackend } from "../../backend/udp/udp_backend.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";
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

  const signal = new AbortController().signal;

  /** A backend of `auto`, started. */
  async function started(rtnetlink: KernelRtnetlink): Promise<UdpBackend> {
    const link = rtnetlink.links().find(({ name }) => name === "eth0")!;
    const backend = new UdpBackend(kernelParts(rtnetlink, systemClock), {
      port: 8285,
      device: "flannel%d",
      deviceAlias: "loden:/ipsec",
      dataPath: "auto",
      receive: "auto",
      senderCheck: "strict",
      checksInterface: true,
      sourcePort: "auto",
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
    }, signal);
    return backend;
  }

  Deno.test("auto goes by user space where there are policies, and says so", async () => {
    ip("link add eth0 type veth peer name other");
    ip("address add 192.0.2.1/24 dev eth0");
    ip("link set other up");
    ip("link set eth0 up");
    ip("xfrm policy add src 192.0.2.1 dst 192.0.2.2 dir out");
    using rtnetlink = new KernelRtnetlink();
    const backend = await started(rtnetlink);
    try {
      const { dataPath, reason } = backend.status();
      assertEquals(dataPath, "tun");
      assertMatch(reason, /IPsec policies, which it would bypass.*value is 1/);
      assertEquals(backend.warnings().map(({ code }) => code), [
        "data-path.ipsec",
      ]);
    } finally {
      await backend.stop();
      ip("xfrm policy flush");
    }
  });

  Deno.test("policies that come later end the kernel data path within a second: nothing of it is left, and the next one is user space", async () => {
    using rtnetlink = new KernelRtnetlink();
    const former = await started(rtnetlink);
    assertEquals(former.status().dataPath, "ebpf");
    assertEquals(former.warnings(), []);
    const failed = assertRejects(() => former.failed, IpsecPoliciesError);
    ip("xfrm policy add src 192.0.2.1 dst 192.0.2.2 dir out");
    const late = new Promise((_, reject) => {
      const timer = setTimeout(() => reject(new Error("too late")), 1_000);
      failed.finally(() => clearTimeout(timer));
    });
    await Promise.race([failed, late]);
    assertEquals(
      rtnetlink.links().filter(({ alias }) => alias === "loden:/ipsec"),
      [],
    );
    using bpf = new KernelBpf({ tcx: true });
    const eth0 = rtnetlink.links().find(({ name }) => name === "eth0")!;
    assertEquals(bpf.attachedPrograms(eth0.index, "ingress"), []);
    assertEquals(former.status().outlivesAgent, false);
    await former.stop();
    const next = await started(rtnetlink);
    assertEquals(next.status().dataPath, "tun");
    await next.stop();
    ip("xfrm policy flush");
  });
});
