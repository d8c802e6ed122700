import { assertEquals, assertThrows } from "@std/assert";
import { describeError } from "../../errors.ts";
import { NoDefaultRouteError } from "../../host/underlay/interface_errors.ts";
import { pickUnderlay } from "../../host/underlay/interface_picker.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import { setKernel } from "../rig/kernel_settings.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";

const ip = (line: string) => void runSync("ip", line.split(" "));
const NO_OPTIONS = {
  iface: [],
  ifaceRegex: [],
  ifaceCanReach: "",
  publicIp: "",
};

testInNamespace("the default route of this kernel", import.meta.url, () => {
  setKernel({ "net/ipv6/conf/default/disable_ipv6": "0" });
  ip("link add eth0 type veth peer name eth0w");
  ip("address add 192.0.2.11/24 dev eth0");
  ip("link set eth0w up");
  ip("link set eth0 up");
  ip("-6 route add default via fe80::1 dev eth0");

  Deno.test("does not choose the underlay if it is of IPv6 only, and the error names the interfaces", () => {
    using rtnetlink = new KernelRtnetlink();
    const error = assertThrows(
      () => pickUnderlay(NO_OPTIONS, rtnetlink),
      NoDefaultRouteError,
    );
    assertEquals(
      describeError(error),
      "Cannot choose the interface: the main routing table must have an IPv4 " +
        "default route through one interface: there is none (add one or name " +
        "the interface with --iface; this host has eth0 (192.0.2.11), eth0w)",
    );
    for (
      const options of [{ iface: ["eth0"] }, { ifaceCanReach: "192.0.2.12" }]
    ) {
      const { address, interfaceName } = pickUnderlay(
        { ...NO_OPTIONS, ...options },
        rtnetlink,
      );
      assertEquals([interfaceName, formatIpv4(address)], [
        "eth0",
        "192.0.2.11",
      ]);
    }
  });

  Deno.test("chooses the underlay if it is of IPv4 by a router that has an IPv6 address only", () => {
    ip("-4 route add default via inet6 fe80::1 dev eth0");
    using rtnetlink = new KernelRtnetlink();
    assertEquals(pickUnderlay(NO_OPTIONS, rtnetlink).interfaceName, "eth0");
  });
});
