import { assertEquals } from "@std/assert";
import { containerBridges } from "../../../host/container_bridges.ts";
import { parseCidr } from "../../../net/cidr.ts";
import { FakeRtnetlink } from "../../fakes/fake_rtnetlink.ts";

Deno.test("devices of former backends are no bridges of containers", () => {
  const rtnetlink = new FakeRtnetlink();
  for (
    const [name, address, alias] of [
      ["docker0", "10.1.5.1/24", ""],
      ["br-1", "10.1.5.129/25", ""],
      ["eth0", "192.0.2.11/24", ""],
      ["flannel0", "10.1.5.0/32", "loden:/a"],
      ["flannel.1", "10.1.5.0/32", ""],
      ["overlay7", "10.1.5.0/32", "loden:/a"],
      ["mine", "10.1.5.0/32", ""],
    ] as const
  ) {
    const { index } = rtnetlink.addLink({ name, alias, up: true });
    rtnetlink.addAddress(index, address);
  }
  assertEquals(
    containerBridges(rtnetlink, parseCidr("10.1.5.0/24")!, "mine"),
    ["docker0", "br-1"],
  );
});
