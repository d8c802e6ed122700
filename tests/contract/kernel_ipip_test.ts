import { assertEquals, assertThrows } from "@std/assert";
import { ERRNO } from "../../linux/errno.ts";
import { NetlinkError } from "../../linux/netlink/errors.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { hasLinkKind } from "../support/link_kind.ts";
import { testInNamespace } from "./in_namespace.ts";
import { IPIP, ipipContract } from "./ipip_contract.ts";
import { ipipPackets } from "./ipip_packets.ts";
import { kernelBackendContract } from "./kernel_backend_contract.ts";

/** A tunnel from any address to any other one comes with the module. */
const LOCAL = ["local", "192.0.2.11"];

function testAbsence(): void {
  Deno.test("KernelRtnetlink names the number of a kernel without ipip", () => {
    using rtnetlink = new KernelRtnetlink();
    const error = assertThrows(() => rtnetlink.createIpip(IPIP), NetlinkError);
    assertEquals(error.errno, ERRNO.EOPNOTSUPP);
  });
}

testInNamespace("ipip on this kernel", import.meta.url, () => {
  if (hasLinkKind("ipip", ...LOCAL)) {
    ipipContract("KernelRtnetlink", () => new KernelRtnetlink());
    kernelBackendContract("ipip", { DirectRouting: false });
    ipipPackets();
  } else {
    testAbsence();
  }
});
