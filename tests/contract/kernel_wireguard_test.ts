import { assertEquals, assertThrows } from "@std/assert";
import { ERRNO } from "../../linux/errno.ts";
import { NetlinkError } from "../../linux/netlink/errors.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { KernelWireguard } from "../../linux/netlink/kernel_wireguard.ts";
import { hasLinkKind } from "../support/link_kind.ts";
import { testInNamespace } from "./in_namespace.ts";
import { kernelBackendContract } from "./kernel_backend_contract.ts";
import {
  wireguardContract,
  type WireguardWorld,
} from "./wireguard_contract.ts";

function kernelWorld(): WireguardWorld {
  const rtnetlink = new KernelRtnetlink();
  const wireguard = new KernelWireguard();
  return {
    rtnetlink,
    wireguard,
    [Symbol.dispose]() {
      for (const { index, loopback } of rtnetlink.links()) {
        if (!loopback) rtnetlink.deleteLink(index);
      }
      rtnetlink[Symbol.dispose]();
      wireguard[Symbol.dispose]();
    },
  };
}

/** What a kernel without WireGuard answers. */
function testAbsence(): void {
  Deno.test("a kernel without WireGuard says so (the contract runs where there is one)", () => {
    using world = kernelWorld();
    const { rtnetlink, wireguard } = world;
    const refused = (act: () => unknown) =>
      assertThrows(act, NetlinkError).errno;
    const device = { name: "flannel-wg", mtuBytes: 1420 };
    assertEquals(
      [
        refused(() => rtnetlink.createWireguard(device)),
        refused(() => wireguard.device(1)),
      ],
      [ERRNO.EOPNOTSUPP, ERRNO.ENOENT],
    );
  });
}

testInNamespace("KernelWireguard keeps its contract", import.meta.url, () => {
  if (hasLinkKind("wireguard")) {
    wireguardContract("KernelWireguard", kernelWorld);
    kernelBackendContract("wireguard", { ListenPort: 51820 });
  } else {
    testAbsence();
  }
});
