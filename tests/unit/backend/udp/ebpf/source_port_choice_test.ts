import { assertEquals } from "@std/assert";
import { chooseSourcePort } from "../../../../../backend/udp/ebpf/source_port_choice.ts";
import { address } from "../../../../support/kernel_world.ts";

const DIRECT = {
  address: address("192.0.2.1"),
  publicIp: address("192.0.2.1"),
};
const BEHIND_NAT = { ...DIRECT, publicIp: address("203.0.113.1") };

Deno.test("auto is a port per flow, and the network's port behind a NAT", () => {
  assertEquals(chooseSourcePort("auto", DIRECT).sourcePort, "hash");
  assertEquals(chooseSourcePort("auto", BEHIND_NAT), {
    sourcePort: "fixed",
    reason: "the PublicIP is not this host's, as behind a NAT",
  });
});

Deno.test("a set source port counts everywhere", () => {
  for (const choice of ["hash", "fixed"] as const) {
    for (const underlay of [DIRECT, BEHIND_NAT]) {
      assertEquals(chooseSourcePort(choice, underlay), {
        sourcePort: choice,
        reason: `set by --source-port=${choice}`,
      });
    }
  }
});
