import { assert, assertEquals, assertThrows } from "@std/assert";
import { ERRNO, SystemCallError } from "../../linux/errno.ts";
import { KernelEthtool } from "../../linux/ethtool.ts";
import { ethtoolContract } from "./ethtool_contract.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";

function world() {
  runSync("ip", ["link", "add", "veth7", "type", "veth", "peer", "veth8"]);
  const ethtool = new KernelEthtool();
  return {
    ethtool,
    veth: "veth7",
    [Symbol.dispose]() {
      ethtool[Symbol.dispose]();
      runSync("ip", ["link", "delete", "veth7"]);
    },
  };
}

/** Names and states that ethtool(8) prints: `rx-gro: off [requested on]`. */
function printed(interfaceName: string): Map<string, string> {
  const lines = runSync("ethtool", ["-k", interfaceName]).split("\n");
  return new Map(
    lines.slice(1).filter((line) => line !== "").map((line) => {
      const [name, state] = line.trim().split(": ");
      return [name!, state!] as const;
    }),
  );
}

/** Sums of several offloads, and ethtool's own names for the kernel's. */
const PROGRAM_NAMES: Readonly<Record<string, string | undefined>> = {
  "rx-checksumming": "rx-checksum",
  "tx-checksumming": undefined,
  "scatter-gather": undefined,
  "tcp-segmentation-offload": undefined,
  "generic-segmentation-offload": "tx-generic-segmentation",
  "generic-receive-offload": "rx-gro",
  "large-receive-offload": "rx-lro",
  "rx-vlan-offload": "rx-vlan-hw-parse",
  "tx-vlan-offload": "tx-vlan-hw-insert",
  "ntuple-filters": "rx-ntuple-filter",
  "receive-hashing": "rx-hashing",
};

testInNamespace("KernelEthtool keeps its contract", import.meta.url, () => {
  ethtoolContract("KernelEthtool", world);

  Deno.test("KernelEthtool reads every offload as ethtool(8) does", () => {
    using host = world();
    host.ethtool.setFeatures(host.veth, { "tx-udp-segmentation": false });
    for (const device of [host.veth, "lo"]) {
      const features = host.ethtool.features(device);
      const compared: [string, string | undefined, string | undefined][] = [];
      for (const [label, state] of printed(device)) {
        const name = label in PROGRAM_NAMES ? PROGRAM_NAMES[label] : label;
        if (name === undefined) continue;
        const feature = features.get(name);
        const wish = feature?.requested ? "on" : "off";
        const found = feature && (feature.active ? "on" : "off") +
            (!feature.changeable
              ? " [fixed]"
              : feature.requested !== feature.active
              ? ` [requested ${wish}]`
              : "");
        compared.push([label, state, found]);
      }
      assert(compared.length > 50, `ethtool printed ${compared.length} lines`);
      assertEquals(compared.filter(([, state, found]) => state !== found), []);
    }
  });

  Deno.test("KernelEthtool says when a device tells no driver", () => {
    using ethtool = new KernelEthtool();
    const error = assertThrows(() => ethtool.driver("lo"), SystemCallError);
    assertEquals(error.errno, ERRNO.EOPNOTSUPP);
  });
});
