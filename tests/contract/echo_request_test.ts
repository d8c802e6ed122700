/**
 * Whether packets of a size reach a host, by the kernel's own answers.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { systemClock } from "../../linux/clock.ts";
import { requestEcho } from "../../linux/echo_request.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { parseIpv4 } from "../../net/ipv4.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";

const OWN = parseIpv4("192.0.2.1")!;
const SILENT = parseIpv4("192.0.2.2")!;

testInNamespace("echo requests", import.meta.url, () => {
  const ip = (line: string) => runSync("ip", line.split(" "));
  ip("address add 192.0.2.1/32 dev lo");

  Deno.test("a host that answers is reached by packets of that size", async () => {
    assertEquals(await requestEcho(systemClock, OWN, 1_280), "arrived");
  });

  Deno.test("a path that is too narrow is not passed: nothing is fragmented", async () => {
    ip("link set lo mtu 600");
    assertEquals(await requestEcho(systemClock, OWN, 1_280), "none");
    assertEquals(await requestEcho(systemClock, OWN, 600), "arrived");
    ip("link set lo mtu 65536");
  });

  Deno.test("a host that is silent gives no answer", async () => {
    ip("link add dev0 type veth peer name dev1");
    ip("link set dev0 up");
    ip("route add 192.0.2.2 dev dev0");
    assertEquals(await requestEcho(systemClock, SILENT, 1_280), "none");
  });

  Deno.test("an MTU that a person has set on a route is none that a router has taught", () => {
    ip("route replace 192.0.2.2 dev dev0 mtu 700");
    using rtnetlink = new KernelRtnetlink();
    const { isLearned, mtuBytes } = rtnetlink.routeTo(SILENT);
    assertEquals([isLearned, mtuBytes], [undefined, 700]);
  });
});
