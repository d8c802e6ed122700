import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import {
  rtnetlinkContract,
  type RtnetlinkWorld,
} from "./rtnetlink_contract.ts";

function kernelWorld(): RtnetlinkWorld {
  const rtnetlink = new KernelRtnetlink();
  return {
    rtnetlink,
    addBridge(name) {
      runSync("ip", ["link", "add", name, "type", "bridge"]);
      return rtnetlink.links().find((link) => link.name === name)!.index;
    },
    [Symbol.dispose]() {
      for (const { index, loopback } of rtnetlink.links()) {
        if (!loopback) rtnetlink.deleteLink(index);
      }
      rtnetlink[Symbol.dispose]();
    },
  };
}

testInNamespace("KernelRtnetlink keeps its contract", import.meta.url, () => {
  rtnetlinkContract("KernelRtnetlink", kernelWorld);
});
