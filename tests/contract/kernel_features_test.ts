import { assertEquals } from "@std/assert";
import {
  KERNEL_FEATURES,
  type KernelFeature,
  missingFeature,
  tryKernelFeatures,
} from "../../backend/udp/ebpf/kernel_features.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";
import { hasKernelModule } from "../../linux/kernel_module.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { linuxSince } from "../support/kernel_release.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";

/** Long-term kernels before the version that brought them may have them. */
const BACKPORTED: ReadonlySet<string> = new Set([
  "bpf_skb_adjust_room beyond the MTU",
]);

testInNamespace("the features of this kernel", import.meta.url, () => {
  for (const mtuBytes of [1_500, 9_000]) {
    Deno.test(`are those of its version, with an underlay of ${mtuBytes} bytes`, () => {
      runSync("ip", [
        ...["link", "add", "eth0", "mtu", String(mtuBytes)],
        ...["type", "veth", "peer", "name", "eth0w"],
      ]);
      try {
        using bpf = new KernelBpf();
        using rtnetlink = new KernelRtnetlink();
        const { index } = rtnetlink.links().find(({ name }) =>
          name === "eth0"
        )!;
        const parts = {
          bpf,
          hasModule: (name: string) => hasKernelModule(name),
          underlay: { interfaceIndex: index, mtuBytes },
        };
        const isSure = ({ name }: KernelFeature) => !BACKPORTED.has(name);
        const lacks = tryKernelFeatures(parts)
          .filter(({ feature, problem }) =>
            problem !== undefined && isSure(feature)
          )
          .map(({ feature }) => feature.name);
        const newer = KERNEL_FEATURES.filter((each) =>
          isSure(each) && !linuxSince(each.since)
        );
        assertEquals(lacks, newer.map(({ name }) => name));
        assertEquals(
          missingFeature(parts) === undefined,
          !newer.some(({ isRequired }) => isRequired),
        );
      } finally {
        runSync("ip", ["link", "delete", "eth0"]);
      }
    });
  }
});
